//! Funding transfers, in the terms of the IATI 2.03 transaction.

use super::{AmountQualifier, CaveatCode, Day, Event, Findings, LinkType, Money, Role, Stage, StreamName};

/// A transfer of funds, or a promise of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FundingTransfer {
    /// How far along; amounts of different stages are never summed.
    pub stage: Stage,
    /// How much, in the currency it was stated in.
    pub amount: Money,
    /// The date that decides the exchange rate.
    pub value_date: Option<Day>,
    /// Whether it takes back an earlier transfer.
    pub reversal: bool,
    /// ISO 3166 codes of recipient countries.
    pub recipient_countries: Vec<String>,
    /// How exactly the amount is stated.
    pub qualifier: Option<AmountQualifier>,
    /// Whether goods or services were given, described or by the disbursement channel.
    pub in_kind: bool,
    /// IATI identifier of the activity.
    pub activity_id: String,
    /// The provider's reference.
    pub transaction_ref: String,
    /// IATI FlowType.
    pub flow_type: String,
    /// IATI FinanceType.
    pub finance_type: String,
    /// IATI TiedStatus.
    pub tied_status: String,
    /// IATI DisbursementChannel.
    pub disbursement_channel: String,
    /// Types of aid, `scheme:value`.
    pub aid_types: Vec<String>,
    /// Sectors, `scheme:value`.
    pub sectors: Vec<String>,
    /// Id of the event with the commitment that it draws on.
    pub commitment_event_id: String,
}

/// What sums need of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferFacts {
    /// How much.
    pub amount: Money,
    /// How far along.
    pub stage: Stage,
    /// How exactly the amount is stated.
    pub qualifier: Option<AmountQualifier>,
    /// Whether it takes back an earlier transfer.
    pub reversal: bool,
    /// Whether goods or services were given.
    pub in_kind: bool,
    /// The first half of BLAKE3 of the stream, a zero byte and the provider's reference: what makes two transfers look the
    /// same, beside stage, date and amount.
    pub likeness: [u8; 16],
}

impl TransferFacts {
    /// Takes what sums need.
    #[must_use]
    pub fn of(transfer: &FundingTransfer, stream: &StreamName) -> Self {
        // Neither a stream's name nor a reference holds a zero byte.
        let mut hasher = blake3::Hasher::new();
        hasher.update(stream.as_str().as_bytes()).update(&[0]).update(transfer.transaction_ref.as_bytes());
        let mut likeness = [0; 16];
        hasher.finalize_xof().fill(&mut likeness);
        Self {
            amount: transfer.amount,
            stage: transfer.stage,
            qualifier: transfer.qualifier,
            reversal: transfer.reversal,
            in_kind: transfer.in_kind,
            likeness,
        }
    }
}

impl FundingTransfer {
    /// Checks the amount against its currency and sign, and the parties.
    pub fn check(&self, event: &Event, today: Day, findings: &mut Findings) {
        findings.at("amount", |f| self.check_amount(event, f));
        self.check_parties(event, findings);
        // IATI rule 11.2.2; a day's grace, because it is already tomorrow somewhere.
        if let Some(date) = self.value_date
            && date > today.plus_days(1)
        {
            findings.violation_at("value_date", format_args!("must not be in the future: {date}"));
        }
    }

    fn check_amount(&self, event: &Event, findings: &mut Findings) {
        let currency = self.amount.currency();
        if let (Some((year, month)), Some(start)) = (currency.withdrawn_on(), event.valid_time.earliest_start)
            && start.to_civil().is_some_and(|(y, m, _)| (y, m) > (year, month))
        {
            findings.caveat_at(
                "currency_code",
                CaveatCode::CurrencyWithdrawn,
                format_args!("{currency} was withdrawn in {year}-{month:02}"),
            );
        }
        let used = self.amount.decimals_used();
        if let Some(exponent) = currency.exponent()
            && used > u32::from(exponent)
        {
            findings.caveat(
                CaveatCode::AmountPrecision,
                format_args!("has {used} decimals, {currency} has {exponent}"),
            );
        }
        if self.amount.is_zero() {
            findings.caveat(CaveatCode::ZeroAmount, "is zero");
        }
        let corrects = event.links.iter().any(|link| link.link_type == LinkType::Corrects);
        if self.amount.is_negative() && !self.reversal && !corrects {
            findings.violation("must not be negative unless reversal is set or the event corrects another");
        }
    }

    fn check_parties(&self, event: &Event, findings: &mut Findings) {
        let of = |role: Role| {
            event.participants.iter().filter(move |p| p.role == Some(role)).map(|p| p.entity.key())
        };
        if of(Role::Provider).chain(of(Role::Receiver)).next().is_none() {
            findings.violation("needs a participant with the role PROVIDER or RECEIVER");
        }
        if of(Role::Provider).any(|provider| of(Role::Receiver).any(|receiver| receiver == provider)) {
            findings.caveat(CaveatCode::SameParties, "provider and receiver are the same");
        }
    }
}
