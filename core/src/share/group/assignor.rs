//! The simple assignor: every partition goes to as many members as it takes for none to be idle, the members get the
//! same number give or take one, and keep what they have as far as that allows.
//!
//! Members that subscribe to the same topics are looked at together; a group with several kinds of subscriptions is
//! assigned topic by topic.
//!
//! Source: Kafka `SimpleAssignor`; KIP-932.

use std::collections::{BTreeMap, BTreeSet};

use super::Partitions;
use crate::{Uuid, group::MemberId};

type Slot = (Uuid, i32);

/// Who fetches what. `subscriptions` are the topics of each member, `partitions` what can be assigned.
pub(super) fn assign(
    subscriptions: &BTreeMap<&MemberId, BTreeSet<Uuid>>,
    partitions: &Partitions,
    before: &BTreeMap<MemberId, Partitions>,
) -> BTreeMap<MemberId, Partitions> {
    let mut assigned: BTreeMap<MemberId, Partitions> =
        subscriptions.keys().map(|member| ((*member).clone(), Partitions::new())).collect();
    let mut kinds = subscriptions.values();
    let first = kinds.next();
    if kinds.all(|topics| Some(topics) == first) {
        let members: Vec<_> = subscriptions.keys().copied().collect();
        let subscribed = partitions.iter().filter(|(topic, _)| first.is_some_and(|topics| topics.contains(topic)));
        let slots = subscribed.flat_map(|(topic, indexes)| indexes.iter().map(|index| (*topic, *index))).collect();
        share(&members, slots, before, &mut assigned);
        return assigned;
    }
    for (topic, indexes) in partitions {
        let subscribed = subscriptions.iter().filter(|(_, topics)| topics.contains(topic));
        let members: Vec<_> = subscribed.map(|(member, _)| *member).collect();
        share(&members, indexes.iter().map(|index| (*topic, *index)).collect(), before, &mut assigned);
    }
    assigned
}

fn share(
    members: &[&MemberId],
    slots: Vec<Slot>,
    before: &BTreeMap<MemberId, Partitions>,
    assigned: &mut BTreeMap<MemberId, Partitions>,
) {
    if members.is_empty() || slots.is_empty() {
        return;
    }
    let per_slot = members.len().div_ceil(slots.len());
    let total = per_slot * slots.len();
    let (each, over) = (total / members.len(), total % members.len());
    // How many members may have one more than the others.
    let mut generous = over;
    let mut taken: BTreeMap<Slot, usize> = slots.iter().map(|slot| (*slot, 0)).collect();
    let mut own: BTreeMap<&MemberId, BTreeSet<Slot>> =
        members.iter().map(|member| (*member, BTreeSet::new())).collect();
    for (member, own) in &mut own {
        let had = before.get(*member).into_iter().flatten();
        for slot in had.flat_map(|(topic, indexes)| indexes.iter().map(|index| (*topic, *index))) {
            let Some(count) = taken.get_mut(&slot).filter(|count| **count < per_slot) else { continue };
            if own.len() == each {
                if generous == 0 {
                    break;
                }
                generous -= 1;
            } else if own.len() > each {
                break;
            }
            own.insert(slot);
            *count += 1;
        }
    }
    for (slot, count) in &taken {
        for _ in *count..per_slot {
            let poorest = own.iter_mut().filter(|(_, own)| !own.contains(slot)).min_by_key(|(_, own)| own.len());
            if let Some((_, own)) = poorest {
                own.insert(*slot);
            }
        }
    }
    for (member, slots) in own {
        let partitions = assigned.entry(member.clone()).or_default();
        for (topic, index) in slots {
            partitions.entry(topic).or_default().insert(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(members: usize, partitions: i32, before: &BTreeMap<MemberId, Partitions>) -> BTreeMap<MemberId, Partitions> {
        let topic = Uuid([1; 16]);
        let ids: Vec<MemberId> = (0..members).map(|n| format!("m{n:02}").into()).collect();
        let subscriptions = ids.iter().map(|id| (id, BTreeSet::from([topic]))).collect();
        assign(&subscriptions, &Partitions::from([(topic, (0..partitions).collect())]), before)
    }

    proptest! {
        #[test]
        fn nobody_is_idle_and_nothing_is_left(members in 1usize..12, partitions in 1i32..12, more in 1usize..12) {
            let before = run(members, partitions, &BTreeMap::new());
            for assigned in [run(more, partitions, &before), before] {
                let counts = assigned.values().map(|own| own.values().map(BTreeSet::len).sum::<usize>());
                let (least, most) = (counts.clone().min().unwrap(), counts.max().unwrap());
                prop_assert!(least >= 1 && most - least <= 1, "{assigned:?}");
                let all: BTreeSet<_> = assigned.values().flatten().flat_map(|(_, indexes)| indexes).collect();
                prop_assert_eq!(all.len(), usize::try_from(partitions).unwrap());
            }
        }
    }

    #[test]
    fn what_fits_stays() {
        let before = run(2, 4, &BTreeMap::new());
        assert_eq!(run(2, 4, &before), before);
    }
}
