//! The leader epochs of a partition and where each began, for OffsetForLeaderEpoch (KIP-279).

use crate::disk::codec::{Decoder, Encoder};

/// The start of a leader epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochStart {
    /// The epoch.
    pub epoch: i32,
    /// Offset of its first record, or of the one that would be.
    pub start: i64,
}

/// The epochs, of which each is greater than the one before and starts no earlier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epochs {
    starts: Vec<EpochStart>,
}

impl Epochs {
    /// Begins an epoch at `start`, the partition's end, unless it has begun.
    ///
    /// An epoch in which nothing was written gives way to it. Says whether anything changed.
    pub fn begin(&mut self, epoch: i32, start: i64) -> bool {
        if self.starts.last().is_some_and(|last| last.epoch >= epoch) {
            return false;
        }
        self.starts.retain(|earlier| earlier.start < start);
        self.starts.push(EpochStart { epoch, start });
        true
    }

    /// The epochs, the first one first.
    pub fn starts(&self) -> &[EpochStart] {
        &self.starts
    }

    /// The greatest epoch up to `epoch` that there was, and the offset after its last record, if
    /// the partition's end is `end`; none if there was none so early or it is yet to come.
    ///
    /// An epoch from before the first one there is ends where that begins, as in Kafka.
    pub fn end_of(&self, epoch: i32, end: i64) -> Option<(i32, i64)> {
        let last = self.starts.last()?;
        if epoch < 0 || epoch > last.epoch {
            return None;
        }
        if epoch == last.epoch {
            return Some((epoch, end));
        }
        let next = self.starts.partition_point(|start| start.epoch <= epoch);
        let floor = next.checked_sub(1).map_or(epoch, |floor| self.starts[floor].epoch);
        Some((floor, self.starts[next].start))
    }

    /// Their bytes in a row.
    pub fn encode(&self, row: &mut Encoder) {
        row.count(self.starts.len());
        for EpochStart { epoch, start } in &self.starts {
            row.i32(*epoch).i64(*start);
        }
    }

    /// What [`encode`](Self::encode) wrote.
    pub fn decode(row: &mut Decoder<'_>) -> Option<Self> {
        let starts =
            (0..row.count()?).map(|_| Some(EpochStart { epoch: row.i32()?, start: row.i64()? }));
        Some(Self { starts: starts.collect::<Option<_>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_ends_where_the_next_begins() {
        let mut epochs = Epochs::default();
        assert_eq!(epochs.end_of(0, 0), None);
        let begun = [(1, 10), (3, 20), (3, 25), (2, 25), (6, 30)].map(|(e, s)| epochs.begin(e, s));
        assert_eq!(begun, [true, true, false, false, true]);
        let ends = [-1, 0, 1, 2, 3, 5, 6, 7].map(|epoch| epochs.end_of(epoch, 40));
        assert_eq!(
            ends,
            [
                None,
                Some((0, 10)),
                Some((1, 20)),
                Some((1, 20)),
                Some((3, 30)),
                Some((3, 30)),
                Some((6, 40)),
                None
            ]
        );
    }

    #[test]
    fn an_epoch_without_records_gives_way_to_the_next() {
        let mut epochs = Epochs::default();
        epochs.begin(0, 0);
        epochs.begin(1, 0);
        epochs.begin(2, 5);
        epochs.begin(3, 5);
        let starts = [EpochStart { epoch: 1, start: 0 }, EpochStart { epoch: 3, start: 5 }];
        assert_eq!(epochs.starts(), starts);
    }
}
