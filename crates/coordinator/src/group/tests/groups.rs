//! Describing, listing and deleting groups.

use super::super::GroupSettings;
use super::script::check;

#[test]
fn groups_are_listed_described_and_deleted() {
    check(
        &GroupSettings::default(),
        &[
            (
                "in every state",
                "join - v3 => parked; log g 0 - []
                 describe => PreparingRebalance consumer/ [c#1=]
                 delete => NON_EMPTY_GROUP
                 delete-offsets t/0 => GROUP_SUBSCRIBED_TO_TOPIC
                 wait 3000 => c#1: c#1 1 range leads [c#1]
                 describe => CompletingRebalance consumer/ [c#1=]
                 delete => NON_EMPTY_GROUP
                 sync c#1 gen=1 c#1:x => range:'x'; log g 1 range [*c#1=x]
                 describe => Stable consumer/range [c#1=x]
                 delete => NON_EMPTY_GROUP
                 leave c#1 => ok; log g 2 - []
                 describe => Empty consumer/ []
                 delete => ok; log g gone
                 describe => GROUP_ID_NOT_FOUND",
            ),
            (
                "by state and type",
                "join - v3 group=a => parked; log a 0 - []
                 commit - t/0=1 group=b => ok; log t/0=1
                 join - group=c => c#3 MEMBER_ID_REQUIRED; log c 0 - []
                 list => a:PreparingRebalance:consumer b:Empty: c:Empty:
                 list state=empty => b:Empty: c:Empty:
                 list state=PREPARINGREBALANCE => a:PreparingRebalance:consumer
                 list state=Stable =>
                 list types=Classic => a:PreparingRebalance:consumer b:Empty: c:Empty:
                 list types=consumer =>
                 list types=nonsense =>",
            ),
            (
                "with its offsets",
                "commit - t/0=1 u/0=2 => ok ok; log t/0=1; log u/0=2
                 join - => c#2 MEMBER_ID_REQUIRED; log g 0 - []
                 delete => ok; log t/0 gone; log u/0 gone; log g gone
                 fetch all =>
                 wait 60000 =>
                 join c#2 => c#2 UNKNOWN_MEMBER_ID
                 delete => GROUP_ID_NOT_FOUND",
            ),
            (
                "only offsets that are not in use",
                "delete-offsets t/0 group= => INVALID_GROUP_ID
                 delete-offsets t/0 => GROUP_ID_NOT_FOUND
                 join - v3 topics=t => parked; log g 0 - []
                 wait 3000 => c#3: c#3 1 range leads [c#3]
                 sync c#3 gen=1 => range:''; log g 1 range [*c#3=]
                 commit c#3 gen=1 t/0=1 u/0=2 => ok ok; log t/0=1; log u/0=2
                 delete-offsets t/0 u/0 u/1 => GROUP_SUBSCRIBED_TO_TOPIC ok ok; log u/0 gone
                 fetch all => t/0=1
                 leave c#3 => ok; log g 2 - []
                 delete-offsets t/0 => ok; log t/0 gone
                 fetch all =>",
            ),
            (
                "the last offset of a simple group, which stays until it expires",
                "commit - t/0=1 t/1=2 => ok ok; log t/0=1; log t/1=2
                 delete-offsets t/0 => ok; log t/0 gone
                 delete-offsets t/0 t/1 => ok ok; log t/1 gone; log g 0 - []
                 delete-offsets t/1 => ok
                 delete => ok; log g gone
                 delete-offsets t/1 => GROUP_ID_NOT_FOUND",
            ),
            (
                "no offsets of members whose use is not known",
                "join - v3 type=connect => parked; log g 0 - []
                 wait 3000 => c#1: c#1 1 range leads [c#1]
                 sync c#1 gen=1 => range:''; log g 1 range [*c#1=]
                 commit c#1 gen=1 t/0=1 => ok; log t/0=1
                 delete-offsets t/0 => NON_EMPTY_GROUP
                 leave c#1 => ok; log g 2 - []
                 delete-offsets t/0 => ok; log t/0 gone",
            ),
            (
                "no offsets of consumers that say nothing one understands",
                "join - v3 protocols=x:? => parked; log g 0 - []
                 wait 3000 => c#1: c#1 1 x leads [c#1]
                 sync c#1 gen=1 => x:''; log g 1 x [*c#1=]
                 commit c#1 gen=1 t/0=1 => ok; log t/0=1
                 delete-offsets t/0 => GROUP_SUBSCRIBED_TO_TOPIC",
            ),
        ],
    );
}
