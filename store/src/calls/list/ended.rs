//! What ended, read from the packets that retention goes by.

use paceline_types::ShardIndex;

use super::sources::Slice;
use crate::wire::pack::bare_ids;
use crate::wire::reply::{Reply, text_of};
use crate::{Store, StoreError};

impl Store {
    /// What ended, newest first, of the packets with one of `letters` (all when empty).
    ///
    /// Packets are ordered by the time of their removal; those that are kept equally long are
    /// in the order of their ends. Position: `<score>|<packets of this score before the packet>|
    /// <head of the packet>|<jobs of the packet that were read>`.
    pub(super) async fn ended(
        &self,
        shard: ShardIndex,
        letters: &[char],
        position: &str,
        limit: usize,
    ) -> Result<Slice, StoreError> {
        const PACKETS: usize = 20;
        let key = &self.keys(shard)?.ended;
        let place = Place::parse(position);
        let mut first = 0;
        if let Some(place) = &place {
            let mut command = redis::cmd("ZCOUNT");
            command
                .arg(key)
                .arg(format!("({}", place.score))
                .arg("+inf");
            let above = text_of("ZCOUNT", self.link.command(&command).await?)?;
            first = above.parse::<usize>().unwrap_or(0) + place.before;
        }
        let mut command = redis::cmd("ZREVRANGE");
        command
            .arg(key)
            .arg(first)
            .arg(first + PACKETS - 1)
            .arg("WITHSCORES");
        let mut reply = Reply::list("ZREVRANGE", self.link.command(&command).await?)?;
        let complete = reply.len() < 2 * PACKETS;
        let mut slice = Slice::default();
        let mut at = place.clone().unwrap_or_default();
        let mut is_first = true;
        while reply.len() > 0 {
            let packet = reply.text()?;
            let score = reply.text()?;
            let before = match (score == at.score, is_first) {
                (true, true) => at.before,
                (true, false) => at.before + 1,
                (false, _) => 0,
            };
            is_first = false;
            let head = packet.get(..HEAD).unwrap_or(&packet).to_owned();
            at = Place {
                score,
                before,
                head,
                read: usize::MAX,
            };
            // What came meanwhile moves those that were read to where this begins.
            let skip = match &place {
                Some(place) if place.score == at.score => match at.head.cmp(&place.head) {
                    std::cmp::Ordering::Greater => continue,
                    std::cmp::Ordering::Equal => place.read,
                    std::cmp::Ordering::Less => 0,
                },
                _ => 0,
            };
            let letter = packet.chars().nth(13).unwrap_or('?');
            let moment = packet.get(..13).and_then(|at| at.parse().ok()).unwrap_or(0);
            if letters.is_empty() && letter != 'w' || letters.contains(&letter) {
                let packs = packet.get(14..).unwrap_or("");
                for (index, id) in bare_ids(packs).enumerate().skip(skip) {
                    at.read = index + 1;
                    slice.ids.push(id);
                    slice.behind.push(at.to_string());
                    slice.ended_at.push(moment);
                    if slice.ids.len() == limit {
                        slice.next = slice.behind.last().cloned();
                        return Ok(slice);
                    }
                }
                at.read = usize::MAX;
            }
        }
        slice.next = (!complete).then(|| at.to_string());
        Ok(slice)
    }
}

/// `<13 digits><letter>` and the first id: enough to tell packets of what ended apart.
const HEAD: usize = 40;

/// A place in what ended.
#[derive(Clone, Debug, Default)]
struct Place {
    /// When the packet is removed.
    score: String,
    /// Packets of that moment that come before it.
    before: usize,
    /// What it begins with.
    head: String,
    /// Jobs of it that were read.
    read: usize,
}

impl Place {
    fn parse(position: &str) -> Option<Place> {
        let mut parts = position.splitn(4, '|');
        Some(Place {
            score: parts.next().filter(|score| !score.is_empty())?.to_owned(),
            before: parts.next()?.parse().ok()?,
            head: parts.next()?.to_owned(),
            read: parts.next()?.parse().ok()?,
        })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}|{}|{}|{}",
            self.score, self.before, self.head, self.read
        )
    }
}
