//! The closed vocabularies that rules and queries speak of, with their numbers on the wire and on disk.

/// Declares an enum whose numbers are part of the format.
macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $number:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name { $($(#[$value_doc])* $value = $number,)* }

        impl $name {
            /// Every value, in the order of numbers.
            pub const ALL: &'static [Self] = &[$(Self::$value,)*];

            /// Gives the value that a number stands for.
            #[must_use]
            pub const fn from_number(number: i32) -> Option<Self> {
                match number { $($number => Some(Self::$value),)* _ => None }
            }

            /// Gives the number of the value.
            #[must_use]
            pub const fn number(self) -> u8 {
                match self { $(Self::$value => $number,)* }
            }
        }
    };
}

vocabulary! {
    /// Tells kinds of payload apart.
    #[expect(missing_docs, reason = "documented in proto/annals/v1/filter.proto")]
    Kind { Agreement = 1, FundingTransfer = 2, Visit = 3, StatisticalRelease = 4, Statement = 5, Custom = 6, }
}

vocabulary! {
    /// Tells what an entity is to an event.
    #[expect(missing_docs, reason = "documented in proto/annals/v1/entity.proto")]
    Role {
        Party = 1, Signatory = 2, Depositary = 3, Provider = 4, Receiver = 5, Beneficiary = 6,
        Implementer = 7, Visitor = 8, Host = 9, Counterpart = 10, DelegationMember = 11, Speaker = 12,
        Addressee = 13, Publisher = 14, Producer = 15, Subject = 16, Affected = 17, Reporter = 18,
        Mediator = 19, Observer = 20, Other = 99,
    }
}

vocabulary! {
    /// Tells whether an event happened, is planned, or is only possible.
    #[expect(missing_docs, reason = "documented in proto/annals/v1/event.proto")]
    Modality { Actual = 1, Planned = 2, Potential = 3, Hypothetical = 4, Negated = 5, }
}

vocabulary! {
    /// Tells who stands behind an event.
    #[expect(missing_docs, reason = "documented in proto/annals/v1/event.proto")]
    Assertion { Recorded = 1, Reported = 2, Claimed = 3, Disputed = 4, Verified = 5, }
}

vocabulary! {
    /// Tells what an event says of another.
    #[expect(missing_docs, reason = "documented in proto/annals/v1/link.proto")]
    LinkType {
        Corrects = 1, Supersedes = 2, Retracts = 3, DuplicateOf = 4,
        Amends = 10, Extends = 11, Terminates = 12, Replaces = 13, Implements = 14, Fulfils = 15, Cancels = 16,
        Cites = 20, DerivedFrom = 21, Quotes = 22, Contradicts = 23, Confirms = 24, RespondsTo = 25,
        PartOf = 26, Follows = 27, ClaimedCause = 28,
    }
}

vocabulary! {
    /// Tells stages of funding apart; never summed with each other.
    #[expect(missing_docs, reason = "documented in proto/annals/v1/funding.proto")]
    Stage {
        IncomingFunds = 1, OutgoingCommitment = 2, Disbursement = 3, Expenditure = 4, InterestPayment = 5,
        LoanRepayment = 6, Reimbursement = 7, PurchaseOfEquity = 8, SaleOfEquity = 9, CreditGuarantee = 10,
        IncomingCommitment = 11, OutgoingPledge = 12, IncomingPledge = 13, Allocation = 20, Budget = 21,
        PlannedDisbursement = 22, Cancellation = 23,
    }
}

vocabulary! {
    /// Tells what happened to an agreement.
    #[expect(missing_docs, reason = "documented in proto/annals/v1/agreement.proto")]
    Action {
        Proposed = 1, Negotiated = 2, Initialled = 3, Adopted = 4, OpenedForSignature = 5, Signed = 6,
        Ratified = 7, Accepted = 8, Approved = 9, Acceded = 10, Succeeded = 11, FormallyConfirmed = 12,
        ProvisionallyApplied = 13, EnteredIntoForce = 14, Reserved = 15, Declared = 16, Objected = 17,
        Amended = 18, Extended = 19, Suspended = 20, Resumed = 21, Denounced = 22, Withdrawn = 23,
        Terminated = 24, Expired = 25, Registered = 26, Established = 27, MeasureImplemented = 28,
        ReportedToExist = 29,
    }
}

vocabulary! {
    /// Tells how far a visit is.
    #[expect(missing_docs, reason = "documented in proto/annals/v1/visit.proto")]
    VisitStatus { Tentative = 1, Scheduled = 2, UnderWay = 3, Completed = 4, Postponed = 5, Cancelled = 6, }
}

vocabulary! {
    /// Tells what a release does to earlier observations (SDMX ACTION).
    #[expect(missing_docs, reason = "documented in proto/annals/v1/statistics.proto")]
    ReleaseAction { Merge = 1, Replace = 2, Delete = 3, }
}

vocabulary! {
    /// Tells how an amount is meant.
    #[expect(missing_docs, reason = "documented in proto/annals/v1/funding.proto")]
    AmountQualifier { Exact = 1, Rounded = 2, About = 3, UpTo = 4, AtLeast = 5, Over = 6, Under = 7, Nearly = 8, }
}

vocabulary! {
    /// Tells what measure a comparison states.
    #[expect(missing_docs, reason = "documented in proto/annals/v1/statistics.proto")]
    Measure { PercentChange = 1, AbsoluteChange = 2, Ratio = 3, PercentagePoints = 4, RecordHigh = 5, RecordLow = 6, }
}

vocabulary! {
    /// Tells remarks on an event apart.
    #[expect(missing_docs, reason = "documented in proto/annals/v1/event.proto")]
    CaveatCode {
        VagueDate = 1, VagueAmount = 2, PeriodsDiffer = 3, ProvisionalValue = 4, ScopeUnclear = 5, Rounded = 6,
        Inferred = 7, LaterRevised = 8, SourceConflict = 9, UndatedSource = 10, LongQuote = 11,
        CountryCodeUnknown = 12, CodeUnknown = 13, CurrencyWithdrawn = 14, AmountPrecision = 15, ZeroAmount = 16,
        SameParties = 17, FewParties = 18, OrderAnomaly = 19, OverduePlan = 20, KnownBeforeStart = 21,
        StopOutsideVisit = 22, LongVisit = 23, StatusUnexpected = 24, ClaimMismatch = 25, ActingPartyMissing = 26, RepeatedParticipant = 27,
    }
}

impl Kind {
    /// Gives the name that the API has for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agreement => "AGREEMENT",
            Self::FundingTransfer => "FUNDING_TRANSFER",
            Self::Visit => "VISIT",
            Self::StatisticalRelease => "STATISTICAL_RELEASE",
            Self::Statement => "STATEMENT",
            Self::Custom => "CUSTOM",
        }
    }
}

impl LinkType {
    /// Tells whether the link changes what is believed of its target, or, for a duplicate, of its carrier.
    #[must_use]
    pub const fn is_knowledge(self) -> bool {
        self.number() < 10
    }

    /// Tells whether the link says that its carrier changes something in the world: from AMENDS to CANCELS.
    #[must_use]
    pub const fn is_world(self) -> bool {
        matches!(self.number(), 10..20)
    }

    /// Tells whether the link says that its carrier prolongs or ends what it points to.
    #[must_use]
    pub const fn bears_on_life(self) -> bool {
        matches!(self, Self::Extends | Self::Terminates | Self::Replaces | Self::Cancels)
    }
}

/// How far an event says that something happened: event factuality (Saurí and Pustejovsky, 2009), as far as days can be
/// told from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Factuality {
    /// It is told as having happened, by somebody who is not contradicted.
    #[default]
    Certain,
    /// It may have happened: planned, potential, claimed or disputed.
    Possible,
    /// It did not happen: negated or hypothetical.
    Counterfactual,
}

impl Factuality {
    /// Takes it from what an event says of itself.
    #[must_use]
    pub const fn of(modality: Option<Modality>, assertion: Option<Assertion>) -> Self {
        match (modality, assertion) {
            (Some(Modality::Negated | Modality::Hypothetical), _) => Self::Counterfactual,
            (Some(Modality::Planned | Modality::Potential), _)
            | (None | Some(Modality::Actual), Some(Assertion::Claimed | Assertion::Disputed)) => {
                Self::Possible
            }
            (
                None | Some(Modality::Actual),
                None | Some(Assertion::Recorded | Assertion::Reported | Assertion::Verified),
            ) => Self::Certain,
        }
    }
}

impl Role {
    /// Tells whether it makes whoever has it, or whoever they act for, a party to an agreement. A person who signs for
    /// nobody is no party.
    #[must_use]
    pub const fn makes_a_party(self, is_person: bool) -> bool {
        match self {
            Self::Party => true,
            Self::Signatory => !is_person,
            Self::Depositary
            | Self::Provider
            | Self::Receiver
            | Self::Beneficiary
            | Self::Implementer
            | Self::Visitor
            | Self::Host
            | Self::Counterpart
            | Self::DelegationMember
            | Self::Speaker
            | Self::Addressee
            | Self::Publisher
            | Self::Producer
            | Self::Subject
            | Self::Affected
            | Self::Reporter
            | Self::Mediator
            | Self::Observer
            | Self::Other => false,
        }
    }
}

impl Action {
    /// Tells whether it is a consent to be bound (VCLT articles 11 to 16).
    #[must_use]
    pub const fn is_consent(self) -> bool {
        matches!(
            self,
            Self::Ratified
                | Self::Accepted
                | Self::Approved
                | Self::Acceded
                | Self::Succeeded
                | Self::FormallyConfirmed
        )
    }

    /// Tells whether a party leaves by it.
    #[must_use]
    pub const fn is_leaving(self) -> bool {
        matches!(self, Self::Denounced | Self::Withdrawn)
    }

    /// Tells whether the act is one party's own, so that it says little without naming the party.
    #[must_use]
    pub const fn is_per_party(self) -> bool {
        self.is_consent()
            || self.is_leaving()
            || matches!(self, Self::Reserved | Self::Declared | Self::Objected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_as_the_value_they_stand_for() {
        for role in Role::ALL {
            assert_eq!(Role::from_number(i32::from(role.number())), Some(*role));
        }
        assert_eq!(Role::from_number(0), None);
        assert_eq!(Role::from_number(21), None);
    }

    #[test]
    fn knowledge_links_are_the_first_four() {
        let known: Vec<_> = LinkType::ALL.iter().filter(|link| link.is_knowledge()).collect();
        assert_eq!(known.len(), 4);
    }
}
