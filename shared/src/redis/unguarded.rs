//! The queue's library without some of its guards, for builds that are to show that each is needed. The shipped text
//! knows nothing of it: a guard goes by an exact replacement in it.

use crate::guard::Guard;

/// What is taken out of the text, and what stands there instead.
struct Cut {
    guard: Guard,
    stands: &'static str,
    instead: &'static str,
}

const CUTS: [Cut; 5] = [
    Cut {
        guard: Guard::RisingNonces,
        stands: "  if number <= last then return leave(s, empty(s, lease)) end\n",
        instead: "",
    },
    Cut {
        guard: Guard::QuietTime,
        stands: "local function pick(s, lease)\n  if is_quiet(s, lease) then\n",
        instead: "local function pick(s, lease)\n  if false then\n",
    },
    Cut {
        guard: Guard::Generations,
        stands: "  if f.g < c.g or (f.g == c.g and f.s == c.s) then return 0 end\n",
        instead: "  if f.g == c.g and f.s == c.s then return 0 end\n",
    },
    Cut {
        guard: Guard::GiveBackFence,
        stands: "  if not holds(c, worker, nonce) or c.g ~= g then return leave(s, 0) end\n",
        instead: "  if not c then return leave(s, 0) end\n",
    },
    Cut {
        guard: Guard::Order,
        stands: "    local lower = not best or order < best.order\n",
        instead: "    local lower = not best or best.run ~= run and order < best.order\n",
    },
];

/// The library's text without the guards that do not stand.
#[cfg(feature = "unguarded")]
pub(super) fn without_guards(text: &str) -> String {
    let off = CUTS.iter().filter(|cut| !cut.guard.stands());
    off.fold(text.to_owned(), |text, cut| cut.make(&text))
}

impl Cut {
    /// # Panics
    /// When the guard does not stand in the text exactly once: the table is about another text then.
    fn make(&self, text: &str) -> String {
        let found = text.matches(self.stands).count();
        assert_eq!(found, 1, "{}: stands {found} times in the library: {}", self.guard.name(), self.stands);
        text.replace(self.stands, self.instead)
    }
}

#[cfg(test)]
mod tests {
    use super::CUTS;

    #[test]
    fn each_guard_stands_in_the_library_once_and_can_be_cut_out() {
        let text = include_str!("nstore.lua");
        for cut in CUTS {
            assert_ne!(cut.make(text), text, "{}", cut.guard.name());
        }
    }
}
