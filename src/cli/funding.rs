//! `annals funding`: sums of money, and what was promised against what was paid.

mod tables;

use clap::{Args, ValueEnum};

use super::client::call;
use super::failure::Failure;
use super::filter_args::FilterArgs;
use super::query_args::{ScopeArgs, WindowArgs};
use super::{Context, json, output, status};
use crate::pb::summarize_funding_request::Order;
use crate::pb::{CompareFundingRequest, Filter, FundingDimension, SummarizeFundingRequest};

const EXAMPLES: &str = "\
Examples:
  annals funding --by provider,year --currency GBP
  annals funding --provider org:GB-GOV-1 --by aid-type --from 2020 --to 2024
  annals funding --country AL --by activity --order amount --exclude-suspected-duplicates
  annals funding --activity XM-DAC-41121-2016
  annals funding --provider country:GB --receiver country:AL --compare --known-at 2024-06-01

Stage and currency are part of every row: amounts of different stages or currencies are never added.
With --facility, --activity or --compare, and without --by, what was promised is held against what was paid.";

/// Sums transfers of money and goods, exactly, as a table
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Funding {
    #[command(flatten)]
    filter: FilterArgs,

    /// Entity that provides; may be repeated
    #[arg(long = "provider", value_name = "ID", help_heading = "Which transfers")]
    providers: Vec<String>,

    /// Entity that receives; may be repeated
    #[arg(long = "receiver", value_name = "ID", help_heading = "Which transfers")]
    receivers: Vec<String>,

    /// Currency, such as GBP; may be repeated
    #[arg(long = "currency", value_name = "CODE", help_heading = "Which transfers")]
    currencies: Vec<String>,

    /// IATI identifier of an activity
    #[arg(long, value_name = "ID", help_heading = "Which transfers")]
    activity: Option<String>,

    /// Stream of a facility or activity
    #[arg(long, value_name = "STREAM", help_heading = "Which transfers")]
    facility: Option<String>,

    #[command(flatten)]
    window: WindowArgs,

    #[command(flatten)]
    scope: ScopeArgs,

    /// By what to group, besides stage and currency; several with commas
    #[arg(long, value_enum, value_delimiter = ',', help_heading = "Output")]
    by: Vec<By>,

    /// Hold what was promised against what was paid, between one --provider and one --receiver
    #[arg(long, conflicts_with = "by", help_heading = "Output")]
    compare: bool,

    /// Order of the rows
    #[arg(long, value_enum, default_value_t = OrderArg::Key, help_heading = "Output")]
    order: OrderArg,

    /// At most this many rows
    #[arg(long, value_name = "N", default_value_t = 100, help_heading = "Output",
          value_parser = clap::value_parser!(i32).range(1..=10_000))]
    row_limit: i32,

    /// Leave out transfers that look the same as one before them
    #[arg(long, help_heading = "Output")]
    exclude_suspected_duplicates: bool,
}

/// What to group by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// Provider
    Provider,
    /// Receiver
    Receiver,
    /// Stage; every row has one anyway
    Stage,
    /// Currency; every row has one anyway
    Currency,
    /// Year
    Year,
    /// Quarter
    Quarter,
    /// Month
    Month,
    /// IATI flow type
    FlowType,
    /// IATI finance type
    FinanceType,
    /// IATI aid type
    AidType,
    /// Sector
    Sector,
    /// Country that receives
    RecipientCountry,
    /// Stream of the activity or facility
    Activity,
    /// IATI tied status
    TiedStatus,
    /// IATI disbursement channel
    DisbursementChannel,
    /// Whether it happened, is planned, or only possible
    Modality,
    /// Commitment drawn on
    Commitment,
}

impl From<By> for FundingDimension {
    fn from(by: By) -> Self {
        match by {
            By::Provider => Self::ByProvider,
            By::Receiver => Self::ByReceiver,
            By::Stage => Self::ByStage,
            By::Currency => Self::ByCurrency,
            By::Year => Self::ByYear,
            By::Quarter => Self::ByQuarter,
            By::Month => Self::ByMonth,
            By::FlowType => Self::ByFlowType,
            By::FinanceType => Self::ByFinanceType,
            By::AidType => Self::ByAidType,
            By::Sector => Self::BySector,
            By::RecipientCountry => Self::ByRecipientCountry,
            By::Activity => Self::ByActivity,
            By::TiedStatus => Self::ByTiedStatus,
            By::DisbursementChannel => Self::ByDisbursementChannel,
            By::Modality => Self::ByModality,
            By::Commitment => Self::ByCommitment,
        }
    }
}

/// Orders of rows, as written on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OrderArg {
    /// By key, stage and currency
    Key,
    /// By count of transfers, most first
    Count,
    /// By stage and currency, within these by exact sum, greatest first
    Amount,
}

impl Funding {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`] when the server refuses.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        let compares = self.compare || self.activity.is_some() || self.facility.is_some();
        if compares && self.by.is_empty() {
            self.comparison(context).await
        } else {
            self.summary(context).await
        }
    }

    fn filter(&self) -> Result<Filter, Failure> {
        let mut filter = self.filter.filter()?.unwrap_or_default();
        filter.currencies.extend_from_slice(&self.currencies);
        Ok(filter)
    }

    async fn summary(&self, context: &Context) -> Result<(), Failure> {
        let mut filter = self.filter()?;
        filter.activity_ids.extend(self.activity.clone());
        filter.streams.extend(self.facility.clone());
        let order = match self.order {
            OrderArg::Key => Order::Key,
            OrderArg::Count => Order::CountDescending,
            OrderArg::Amount => Order::AmountDescending,
        };
        let request = SummarizeFundingRequest {
            filter: Some(filter),
            valid: self.window.window(),
            scope: self.scope.scope(),
            provider_ids: self.providers.clone(),
            receiver_ids: self.receivers.clone(),
            group_by: self.by.iter().map(|by| i32::from(FundingDimension::from(*by))).collect(),
            row_limit: self.row_limit,
            order: order.into(),
            exclude_suspected_duplicates: self.exclude_suspected_duplicates,
        };
        let answer = context.target.funding().await?.summarize_funding(call(request)).await;
        let answer = answer.map_err(|error| status::failure(&error))?.into_inner();
        if context.json {
            return output::line(json::to_line(&answer)?);
        }
        let names: Vec<String> = self
            .by
            .iter()
            .filter_map(|by| Some(by.to_possible_value()?.get_name().replace('-', " ")))
            .collect();
        tables::summary(&names, &answer)
    }

    async fn comparison(&self, context: &Context) -> Result<(), Failure> {
        let one = |ids: &[String], option: &str| match ids {
            [] => Ok(String::new()),
            [id] => Ok(id.clone()),
            [..] => {
                let told = format!("{option} names one entity where promises are held against payments");
                Err(Failure::new(super::exit::Exit::Usage, told).hint("--by sums for several"))
            }
        };
        let request = CompareFundingRequest {
            stream: self.facility.clone().unwrap_or_default(),
            activity_id: self.activity.clone().unwrap_or_default(),
            provider_id: one(&self.providers, "--provider")?,
            receiver_id: one(&self.receivers, "--receiver")?,
            filter: Some(self.filter()?),
            valid: self.window.window(),
            scope: self.scope.scope(),
            exclude_suspected_duplicates: self.exclude_suspected_duplicates,
        };
        let answer = context.target.funding().await?.compare_funding(call(request)).await;
        let answer = answer.map_err(|error| status::failure(&error))?.into_inner();
        if context.json {
            return output::line(json::to_line(&answer)?);
        }
        tables::comparison(&answer)
    }
}
