//! The groups of this process.

use nix::unistd::{Group, getegid, getgroups};

/// The number of the group with this name, if it exists and this process is in it.
pub fn own_group(name: &str) -> Option<u32> {
    let gid = Group::from_name(name).ok().flatten()?.gid;
    let is_own = getegid() == gid || getgroups().is_ok_and(|groups| groups.contains(&gid));
    is_own.then_some(gid.as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_group_is_not_ours_and_our_own_is() {
        assert_eq!(own_group("no-such-group-exists-here"), None);
        let own = Group::from_gid(getegid()).unwrap();
        if let Some(own) = own {
            assert_eq!(own_group(&own.name), Some(own.gid.as_raw()));
        }
    }
}
