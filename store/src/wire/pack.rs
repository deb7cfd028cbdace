//! Ids in one string. `lua/lib/packs.lua` is the other side.
//!
//! An id is a stem of 25 characters and one more. Packs stand with `,` between them; a pack is a
//! stem, then the last character of each id that has it. Ids that a client makes one after another
//! share stems, up to 32 of them, so that a list of them takes 2 characters for each in place
//! of 26.

use paceline_types::JobId;
use paceline_types::id::ID_LEN;

/// Characters that the ids of a pack share.
const STEM: usize = 25;

/// Packs ids, in their order.
pub(crate) fn pack(ids: impl IntoIterator<Item = JobId>) -> String {
    let mut packs = String::new();
    let mut shared = [0; ID_LEN];
    for id in ids {
        let mut buffer = [0; ID_LEN];
        let bare = id.bare(&mut buffer);
        if packs.is_empty() {
            packs.push_str(bare);
        } else if bare.as_bytes()[..STEM] == shared[..STEM] {
            packs.push_str(&bare[STEM..]);
        } else {
            packs.push(',');
            packs.push_str(bare);
        }
        shared = buffer;
    }
    packs
}

/// Ids of packs, in their order, each as far as it is one.
pub(crate) fn bare_ids(packs: &str) -> impl Iterator<Item = String> + '_ {
    packs.split(',').flat_map(|one| {
        let (stem, ends) = one.split_at_checked(STEM).unwrap_or((one, ""));
        ends.as_bytes()
            .chunks(ID_LEN - STEM)
            .map(move |end| format!("{stem}{}", String::from_utf8_lossy(end)))
    })
}

/// Ids of packs, in their order; none when one of them is not an id.
pub(crate) fn unpack(packs: &str) -> Option<Vec<JobId>> {
    bare_ids(packs)
        .map(|bare| JobId::from_bare(&bare).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_types::ShardIndex;

    fn id(at: u64, random: u64) -> JobId {
        JobId::from_parts(at, ShardIndex(2), random)
    }

    #[test]
    fn ids_that_follow_one_another_share_their_stems() {
        let ids: Vec<JobId> = (0..128).map(|n| id(7, 1_024 + n)).collect();
        let packs = pack(ids.iter().copied());
        assert_eq!(packs.len(), 4 * (25 + 32) + 3);
        assert_eq!(unpack(&packs), Some(ids));
    }

    #[test]
    fn others_stand_alone_and_a_lone_id_is_a_pack() {
        let ids = [id(7, 1), id(8, 1), id(8, 1 << 40), id(8, (1 << 40) + 1)];
        let packs = pack(ids);
        assert_eq!(
            packs.split(',').map(str::len).collect::<Vec<_>>(),
            [26, 26, 27]
        );
        assert_eq!(unpack(&packs), Some(ids.to_vec()));
        assert_eq!(pack([ids[0]]), ids[0].bare(&mut [0; ID_LEN]));
    }

    #[test]
    fn what_is_no_pack_gives_no_ids() {
        assert_eq!(unpack("nonsense"), Some(Vec::new()));
        assert_eq!(unpack("000000000000000000000000!0"), None);
    }
}
