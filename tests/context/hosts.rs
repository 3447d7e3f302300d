//! Hosts with addresses of their own, on a network that can be cut: network namespaces on one bridge.
//!
//! The test itself stands on the network too, with as many addresses as there are services to be reached. All of it
//! goes with its owner, also when the test is killed.

use std::{
    fs,
    net::Ipv4Addr,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::Process;

const KEEPER: &str = r#"
read -r _
for name in $(ip netns list | cut -d' ' -f1); do
    case "$name" in
        "$1"-*) ip netns pids "$name" | xargs -r kill -9; ip netns delete "$name" ;;
    esac
done
rm -rf /etc/netns/"$1"-*
"#;

/// Several hosts, and the test among them.
#[derive(Debug)]
pub struct Network {
    id: String,
    /// The third number of all addresses.
    third: u8,
    hosts: u8,
    keeper: Child,
}

/// One host, where processes can be started.
#[derive(Debug, Clone)]
pub struct Host {
    namespace: String,
    hub: String,
    /// The hub's end of its cable.
    port: String,
    /// Its address.
    pub address: Ipv4Addr,
}

impl Network {
    /// An empty network, on which the test stands.
    ///
    /// # Panics
    /// When this user may not make one: it takes root and `ip` of Debian's iproute2.
    pub fn new() -> Self {
        let id = format!("ns{:06x}", fastrand::u32(..1 << 24));
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper", &id])
            .process_group(0)
            .stdin(Stdio::piped())
            .spawn()
            .expect("sh");
        let network = Self { id, third: fastrand::u8(1..255), hosts: 0, keeper };
        let hub = network.hub();
        ip(&["netns", "add", &hub]);
        inside(&hub, &["link", "add", "bridge", "type", "bridge"]);
        inside(&hub, &["link", "set", "bridge", "up"]);
        let own = network.own_end();
        ip(&["link", "add", &own, "type", "veth", "peer", "name", "test", "netns", &hub]);
        inside(&hub, &["link", "set", "test", "master", "bridge", "up"]);
        ip(&["link", "set", &own, "up"]);
        // the first one of all: with it, the others would go too
        network.service(1);
        network
    }

    fn hub(&self) -> String {
        format!("{}-hub", self.id)
    }

    fn own_end(&self) -> String {
        format!("{}t", self.id)
    }

    fn address(&self, last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 213, self.third, last)
    }

    /// Another address of the test itself, below 100, for a service to listen on.
    pub fn service(&self, last: u8) -> Ipv4Addr {
        assert!(last < 100, "the others are for hosts");
        let address = self.address(last);
        ip(&["address", "add", &format!("{address}/24"), "dev", &self.own_end()]);
        address
    }

    /// Gives an address of the test up: what is sent there is lost from now on.
    pub fn leave(&self, address: Ipv4Addr) {
        ip(&["address", "delete", &format!("{address}/24"), "dev", &self.own_end()]);
    }

    /// One more host.
    pub fn host(&mut self) -> Host {
        self.hosts += 1;
        let (hub, number) = (self.hub(), self.hosts);
        let (namespace, port) = (format!("{}-{number}", self.id), format!("host{number}"));
        let address = self.address(100 + number);
        ip(&["netns", "add", &namespace]);
        ip(&["-n", &namespace, "link", "add", "eth0", "type", "veth", "peer", "name", &port, "netns", &hub]);
        inside(&hub, &["link", "set", &port, "master", "bridge", "up"]);
        for device in ["lo", "eth0"] {
            inside(&namespace, &["link", "set", device, "up"]);
        }
        inside(&namespace, &["address", "add", &format!("{address}/24"), "dev", "eth0"]);
        let host = Host { namespace, hub, port, address };
        fs::create_dir_all(host.folder()).expect("a folder below /etc/netns");
        host.know(&[]);
        host
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // ends by itself; waited for so that the next network finds no remains
        let _ = self.keeper.wait();
    }
}

impl Host {
    fn folder(&self) -> PathBuf {
        Path::new("/etc/netns").join(&self.namespace)
    }

    /// The names that it can resolve from now on, processes that run included.
    pub fn know(&self, names: &[(&str, Ipv4Addr)]) {
        let lines = names.iter().map(|(name, address)| format!("{address} {name}\n"));
        let text: String = std::iter::once("127.0.0.1 localhost\n".to_owned()).chain(lines).collect();
        // in place: processes have this very file for their /etc/hosts
        fs::write(self.folder().join("hosts"), text).expect("the host's names");
    }

    /// A process that will run here.
    pub fn process(&self, process: &Process) -> Process {
        process.under(&["ip", "netns", "exec", &self.namespace])
    }

    /// Pulls its cable: what is sent either way is lost, and nobody is told.
    pub fn cut(&self) {
        inside(&self.hub, &["link", "set", &self.port, "down"]);
    }

    /// Plugs it in again.
    pub fn mend(&self) {
        inside(&self.hub, &["link", "set", &self.port, "up"]);
    }
}

fn inside(namespace: &str, args: &[&str]) {
    ip(&[&["-n", namespace], args].concat());
}

fn ip(args: &[&str]) {
    let done = Command::new("ip").args(args).output().expect("`ip`: apt-get install iproute2");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "ip {}: {said}; networks of hosts take root", args.join(" "));
}
