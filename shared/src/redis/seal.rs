//! Sealed bytes: what the vault keeps in Redis, where others may read along.
//!
//! XChaCha20-Poly1305 with a random nonce: `version (1) | nonce (24) | ciphertext and tag`. The version and the
//! name of the Redis key are authenticated as well, so a value that was moved to another name does not open.

use std::fmt;

use base64::{Engine as _, engine::general_purpose};
use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Generate as _, Key, KeyInit as _, Payload},
};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// The first byte of what this version seals.
const VERSION: u8 = 1;
const NONCE: usize = 24;
const KEY: usize = 32;

/// What is wrong with the text of a key. Says nothing of the text but its length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultKeyError {
    /// It is neither base64 nor hex.
    #[error("{VARIABLE} is neither hex nor base64; {HOW_TO_MAKE_ONE}", VARIABLE = VaultKey::VARIABLE)]
    Encoding,
    /// It is not 32 bytes long.
    #[error("{VARIABLE} holds {0} bytes instead of {KEY}; {HOW_TO_MAKE_ONE}", VARIABLE = VaultKey::VARIABLE)]
    Length(usize),
    /// All its bytes are alike: somebody's placeholder.
    #[error("{VARIABLE} repeats one byte; {HOW_TO_MAKE_ONE}", VARIABLE = VaultKey::VARIABLE)]
    Placeholder,
}

const HOW_TO_MAKE_ONE: &str =
    "make one with `openssl rand -hex 32` and give the same to all workers that share logins";

/// The key of the vault, the same for all workers that share logins. Wiped from memory when dropped; never shown.
#[derive(Clone)]
pub struct VaultKey {
    cipher: XChaCha20Poly1305,
    mac: Hmac<Sha256>,
}

impl VaultKey {
    /// Where it comes from.
    pub const VARIABLE: &str = "NSTORE_VAULT_KEY";

    /// The key in the environment; `None` where there is none.
    ///
    /// # Errors
    /// When there is a text that is no key.
    pub fn from_env(env: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, VaultKeyError> {
        env(Self::VARIABLE).filter(|text| !text.trim().is_empty()).map(|text| Self::parse(&text)).transpose()
    }

    /// Reads 32 bytes in hex or base64 (either alphabet, with or without padding).
    ///
    /// # Errors
    /// When they are no such text.
    pub fn parse(text: &str) -> Result<Self, VaultKeyError> {
        let text = text.trim();
        // hex first: its digits are base64 as well, of a longer key
        let bytes = hex::decode(text)
            .or_else(|_| general_purpose::STANDARD_NO_PAD.decode(text.trim_end_matches('=')))
            .or_else(|_| general_purpose::URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')))
            .map_err(|_| VaultKeyError::Encoding)?;
        let key: [u8; KEY] = bytes.as_slice().try_into().map_err(|_| VaultKeyError::Length(bytes.len()))?;
        if key.iter().all(|byte| *byte == key[0]) {
            return Err(VaultKeyError::Placeholder);
        }
        Ok(Self::of(&key.into()))
    }

    /// A fresh key that nobody else has: for one process, and for tests.
    ///
    /// # Panics
    /// When the system has no random numbers to give.
    pub fn random() -> Self {
        Self::of(&Key::<XChaCha20Poly1305>::generate())
    }

    fn of(key: &Key<XChaCha20Poly1305>) -> Self {
        // as HMAC pads a key that is shorter than its block
        let mut block = Key::<Hmac<Sha256>>::default();
        block[..KEY].copy_from_slice(key);
        Self { cipher: XChaCha20Poly1305::new(key), mac: Hmac::new(&block) }
    }

    /// A digest of a text, the same for all who have the key; without it, no guess at the text can be tried.
    pub fn digest(&self, text: &str) -> [u8; 32] {
        let mut mac = self.mac.clone();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Seals bytes for a place; `None` when the system has no random numbers to give or the bytes are too many.
    pub(super) fn seal(&self, place: &str, bytes: &[u8]) -> Option<Vec<u8>> {
        let nonce = XNonce::try_generate().ok()?;
        let sealed = self.cipher.encrypt(&nonce, payload(&about(place), bytes)).ok()?;
        Some([&[VERSION][..], &nonce, &sealed].concat())
    }

    /// Opens what [`Self::seal`] made for the same place.
    pub(super) fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, Unopened> {
        match sealed.first() {
            Some(&VERSION) => {}
            other => return Err(Unopened::Version(other.copied())),
        }
        let print = Fingerprint::of(sealed).ok_or(Unopened::Damaged)?;
        let nonce = XNonce::from(print.0);
        self.cipher
            .decrypt(&nonce, payload(&about(place), &sealed[1 + NONCE..]))
            .map_err(|_| Unopened::Damaged)
    }
}

impl fmt::Debug for VaultKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VaultKey(..)")
    }
}

/// What is authenticated beside the bytes.
fn about(place: &str) -> Vec<u8> {
    [&[VERSION][..], place.as_bytes()].concat()
}

fn payload<'a>(about: &'a [u8], bytes: &'a [u8]) -> Payload<'a, 'a> {
    Payload { msg: bytes, aad: about }
}

/// Why sealed bytes do not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unopened {
    /// Another version of nstore wrote them, or nobody of ours.
    #[error("it is of a format that this version does not know: {0:?}")]
    Version(Option<u8>),
    /// Another key, another place, or other bytes than were written.
    #[error("it was sealed with another key or changed since")]
    Damaged,
}

/// Which of the values that stood under a name over time: each write has a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; NONCE]);

impl Fingerprint {
    /// The nonce: unique for each write, and no secret.
    pub(super) fn of(sealed: &[u8]) -> Option<Self> {
        sealed.get(1..=NONCE)?.try_into().ok().map(Self)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_at_its_place_with_its_key_alone() {
        let (key, other) = (VaultKey::random(), VaultKey::random());
        let sealed = key.seal("a", b"canary").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"canary"));
        assert_eq!(key.open("a", &sealed).unwrap(), b"canary");
        assert_eq!(key.open("b", &sealed), Err(Unopened::Damaged));
        assert_eq!(other.open("a", &sealed), Err(Unopened::Damaged));
        assert_eq!(key.open("a", &key.seal("a", b"").unwrap()).unwrap(), b"");
    }

    #[test]
    fn a_digest_is_the_same_for_all_who_have_the_key() {
        let text = "0123456789abcdef".repeat(4);
        let key = || VaultKey::parse(&text).unwrap();
        assert_eq!(key().digest("a"), key().digest("a"));
        assert_ne!(key().digest("a"), key().digest("b"));
        assert_ne!(key().digest("a"), VaultKey::random().digest("a"));
    }

    #[test]
    fn cut_or_changed_bytes_do_not_open() {
        let key = VaultKey::random();
        let sealed = key.seal("a", b"canary").unwrap();
        for end in 0..sealed.len() {
            assert!(key.open("a", &sealed[..end]).is_err(), "{end}");
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key.open("a", &changed).is_err(), "{at}");
        }
        let mut later = sealed;
        later[0] = 2;
        assert_eq!(key.open("a", &later), Err(Unopened::Version(Some(2))));
    }

    #[test]
    fn every_write_has_a_fingerprint_of_its_own() {
        let key = VaultKey::random();
        let print = || Fingerprint::of(&key.seal("a", b"same").unwrap()).unwrap();
        assert_ne!(print(), print());
        assert_eq!(Fingerprint::of(&[1; NONCE]), None);
    }

    #[test]
    fn a_key_is_hex_or_base64() {
        let bytes: Vec<u8> = (0..32).map(|n| n * 7).collect();
        let sealed = VaultKey::parse(&hex::encode(&bytes)).unwrap().seal("a", b"x").unwrap();
        for text in [
            hex::encode_upper(&bytes),
            general_purpose::STANDARD.encode(&bytes),
            general_purpose::URL_SAFE_NO_PAD.encode(&bytes),
            format!(" {}\n", general_purpose::STANDARD.encode(&bytes)),
        ] {
            assert_eq!(VaultKey::parse(&text).unwrap().open("a", &sealed).unwrap(), b"x", "{text}");
        }
    }

    #[test]
    fn what_is_no_key_says_how_to_make_one_and_is_not_shown() {
        for (text, error) in [
            ("pass phrase", VaultKeyError::Encoding),
            ("abcdef01", VaultKeyError::Length(4)),
            ("c2VjcmV0", VaultKeyError::Length(6)),
            (&"00".repeat(32), VaultKeyError::Placeholder),
        ] {
            let found = VaultKey::parse(text).map(|_| ()).unwrap_err();
            assert_eq!(found, error);
            let said = found.to_string();
            assert!(said.contains("openssl rand -hex 32") && said.starts_with("NSTORE_VAULT_KEY"), "{said}");
            assert!(!said.contains(text), "{said}");
        }
        assert!(VaultKey::from_env(&|_| None).unwrap().is_none());
        assert!(VaultKey::from_env(&|_| Some(" ".to_owned())).unwrap().is_none());
        assert_eq!(format!("{:?}", VaultKey::random()), "VaultKey(..)");
    }
}
