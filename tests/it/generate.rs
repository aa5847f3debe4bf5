//! Random events, requests and questions over small vocabularies, so that they meet often.

use annals::domain::{CalendarUnit, Day, EventId, Findings, Position, Timestamp};
use annals::index::Scope;
use annals::pb;
use annals::timeline::{Axis, Facet, GroupBy, Order};
use prost::Message as _;
use uuid::Uuid;

use crate::model::timeline::{Between, Question};
use crate::model::{Demand, Draft, Model};

#[path = "generate_payload.rs"]
mod payload;
#[path = "generate_time.rs"]
mod time;

pub(crate) const STREAMS: &[&str] = &[
    "agreement/gb-al-returns",
    "agreement/gb-al-trade",
    "agreement/eu/al-readmission",
    "activity/xm-1",
    "activity/xm-10",
    "activity/xm-2",
    "visit/gb-al",
    "visit",
];
const PREFIXES: &[&str] =
    &["agreement/", "agreement", "agreement/eu/", "activity/xm-1", "a", "visit", "visit/", "x"];
const ENTITIES: &[&str] =
    &["country:GB", "country:AL", "country:FR", "person:rama", "org:fcdo", "Home Office"];
const COUNTRIES: &[&str] = &["GB", "AL", "FR", "XK", "YUCS"];
const PLACES: &[&str] = &["Tirana", "London", "geonames:3183875"];
const WORDS: &[&str] = &[
    "Müller",
    "Mueller",
    "muller",
    "joint",
    "Joint",
    "taskforce",
    "Taskforces",
    "Tirana",
    "TIRANË",
    "12,658",
    "12658",
    "1.6m",
];
const TAGS: &[&str] = &["returns", "funding", "small-boats", "visit", "press"];
const SOURCES: &[&str] = &["source:a", "source:b", "source:c"];
const PUBLISHERS: &[&str] = &["org:unhcr", "org:guardian", "ONS"];
const DATAFLOWS: &[&str] = &["GB.HO:IRR_D01(1.0)", "ECB:EXR(1.0)"];
const SERIES: &[&str] = &["A.AL", "A._T", "M.AL"];
const CURRENCIES: &[&str] = &["GBP", "EUR", "ALL"];

/// A random source that gives the same numbers for the same seed (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Gives a number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Gives a number in `from..=to`.
    pub(crate) fn within(&mut self, from: i64, to: i64) -> i64 {
        from + i64::try_from(self.below(u64::try_from(to - from + 1).unwrap())).unwrap()
    }

    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len.try_into().unwrap())).unwrap()
    }

    /// Gives true in `percent` of 100 cases.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.index(from.len())]
    }

    pub(crate) fn word(&mut self, from: &[&str]) -> String {
        (*self.pick(from)).to_owned()
    }

    /// Gives some words for people.
    pub(crate) fn sentence(&mut self) -> String {
        let words: Vec<String> = (0..self.within(1, 4)).map(|_| self.word(WORDS)).collect();
        words.join(" ")
    }

    /// Gives a question for words.
    pub(crate) fn text(&mut self) -> String {
        match self.below(10) {
            0..4 => self.word(WORDS),
            4..6 => format!("{} {}", self.word(WORDS), self.word(WORDS)),
            6..8 => format!("\"{} {}\"", self.word(WORDS), self.word(WORDS)),
            8 => format!("{}*", self.pick(&["mue", "Mu", "t", "12", "joint"])),
            _ => format!("{} \"{} t*\"", self.word(WORDS), self.word(WORDS)),
        }
    }

    /// Gives one value, sometimes two.
    fn words(&mut self, from: &[&str]) -> Vec<String> {
        let mut words = vec![self.word(from)];
        if self.chance(40) {
            words.push(self.word(from));
        }
        words
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.index(at + 1));
        }
    }
}

/// A generated draft with what the log wants of it.
#[derive(Clone, Debug)]
pub(crate) struct Proposed {
    pub(crate) draft: Draft,
    pub(crate) prepared: annals::codec::Prepared,
}

/// Checks an event as the service does; `None` if it breaks a rule.
pub(crate) fn propose(event: pb::Event, now: Timestamp) -> Option<Proposed> {
    let id = EventId::parse(&event.id).unwrap();
    let prepared =
        annals::codec::prepare(event, annals::codec::Writer::Client, (id, now), &mut Findings::default())?;
    let canonical = pb::Event::decode(prepared.content.clone()).unwrap();
    let draft = Draft { id, event: canonical, caveats: prepared.caveats.clone() };
    Some(Proposed { draft, prepared })
}

/// Makes events, requests and questions.
#[derive(Debug)]
pub(crate) struct Generator {
    pub(crate) rng: Rng,
    made: u128,
    pub(crate) proposed: u64,
    pub(crate) invalid: u64,
    /// The kind that most events have.
    pub(crate) focus: Option<u64>,
}

impl Generator {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { rng: Rng::new(seed), made: 0, proposed: 0, invalid: 0, focus: None }
    }

    /// Gives ids that do not rise with the order of making.
    pub(crate) fn id(&mut self) -> EventId {
        self.made += 1;
        EventId::from_uuid(Uuid::from_u128((u128::from(self.rng.next()) << 64) | self.made))
    }

    /// Makes a request of one to five events.
    pub(crate) fn events(&mut self, model: &Model, now: Timestamp) -> Vec<Proposed> {
        let mut events: Vec<Proposed> = Vec::new();
        for _ in 0..self.rng.within(1, 5) {
            let proposed = loop {
                self.proposed += 1;
                let event = self.event(model, &events, now);
                match propose(event, now) {
                    Some(proposed) => break proposed,
                    None => self.invalid += 1,
                }
            };
            events.push(proposed);
        }
        events
    }

    fn event(&mut self, model: &Model, earlier: &[Proposed], now: Timestamp) -> pb::Event {
        let (links, kind) = self.links(model, earlier);
        let rng = &mut self.rng;
        let focus = self.focus.filter(|_| rng.chance(85));
        let kind = kind.filter(|_| rng.chance(90)).or(focus).unwrap_or_else(|| rng.below(6));
        let mut event = pb::Event {
            id: self.id().to_string(),
            stream: self.rng.word(STREAMS),
            title: self.rng.sentence(),
            summary: if self.rng.chance(20) { self.rng.sentence() } else { String::new() },
            links,
            ..pb::Event::default()
        };
        let rng = &mut self.rng;
        event.valid_time = Some(time::valid(rng));
        event.known_at = rng.chance(40).then(|| time::known(rng, now));
        event.sources = (0..rng.below(3)).map(|_| source(rng)).collect();
        event.tags = if rng.chance(50) { rng.words(TAGS) } else { Vec::new() };
        event.modality = i32::try_from(rng.below(6)).unwrap();
        event.assertion = if event.sources.is_empty() { 1 } else { i32::try_from(rng.below(6)).unwrap() };
        event.places = (0..rng.below(3)).map(|_| place(rng)).collect();
        event.participants = payload::participants(rng, kind);
        event.payload = Some(payload::of(rng, kind, &mut event.sources));
        if let Some(pb::event::Payload::FundingTransfer(transfer)) = &mut event.payload
            && !model.events.is_empty()
            && rng.chance(25)
        {
            // Often of no commitment at all.
            transfer.commitment_event_id = rng.pick(&model.events).id.to_string();
        }
        if let Some(pb::event::Payload::Statement(statement)) = &mut event.payload
            && !model.events.is_empty()
            && rng.chance(50)
        {
            let about = link(*rng.pick(&[10, 20, 21, 22, 28]), rng.pick(&model.events).id);
            statement.claims.push(pb::Claim { about: vec![about], ..pb::Claim::default() });
        }
        event
    }

    /// Makes links, and tells of which kind the event should be so that they fit.
    fn links(&mut self, model: &Model, earlier: &[Proposed]) -> (Vec<pb::Link>, Option<u64>) {
        let (mut links, mut kind) = (Vec::new(), None);
        if !self.rng.chance(45) {
            return (links, kind);
        }
        for _ in 0..self.rng.within(1, 2) {
            let link_type = *self.rng.pick(&[1, 1, 1, 2, 2, 3, 3, 3, 4, 4, 10, 14, 20, 21, 24, 28]);
            let reference = link_type >= 10;
            if reference && self.rng.chance(20) {
                let stream = self.rng.word(STREAMS);
                links.push(pb::Link { r#type: link_type, stream, ..pb::Link::default() });
                continue;
            }
            let Some((target, target_kind)) = self.target(model, earlier, link_type == 3) else { continue };
            links.push(link(link_type, target));
            kind = kind.or(Some(target_kind).filter(|_| link_type < 3));
            // An event that names those that closed its target joins their chain.
            if !reference && self.rng.chance(60) {
                let position = model.find(target).map(|found| found.position);
                let everything = Scope { as_of: model.head(), known_at: Timestamp::MAX };
                let closers =
                    position.map(|position| model.closers(position, everything)).unwrap_or_default();
                for closer in closers {
                    let also = *self.rng.pick(&[link_type, 3, 4]);
                    links.push(link(also, model.at(closer.carrier).id));
                }
            }
        }
        (links, kind)
    }

    /// Picks an event to link to: mostly a late one, sometimes of the same request, rarely none that exists.
    fn target(&mut self, model: &Model, earlier: &[Proposed], retracts: bool) -> Option<(EventId, u64)> {
        let kind = |event: &pb::Event| u64::try_from(crate::model::filter::kind_number(event)).unwrap() - 1;
        let recorded = |event: &crate::model::Recorded| u64::from(event.kind.number()) - 1;
        if self.rng.chance(3) {
            return Some((self.id(), 0));
        }
        if !earlier.is_empty() && self.rng.chance(30) {
            let draft = &self.rng.pick(earlier).draft;
            return Some((draft.id, kind(&draft.event)));
        }
        // Chains grow where the ends of links are the targets of new ones.
        if !model.links.is_empty() && self.rng.chance(if retracts { 50 } else { 25 }) {
            let found = model.at(self.rng.pick(&model.links).carrier);
            return Some((found.id, recorded(found)));
        }
        if model.events.is_empty() {
            return None;
        }
        let late = model.events.len().saturating_sub(if self.rng.chance(70) { 40 } else { usize::MAX });
        let found = self.rng.pick(&model.events[late..]);
        Some((found.id, recorded(found)))
    }

    /// Makes conditions, most of which hold.
    pub(crate) fn demands(&mut self, model: &Model) -> Vec<Demand> {
        if !self.rng.chance(25) {
            return Vec::new();
        }
        let count = self.rng.within(1, 3);
        (0..count).map(|_| self.demand(model)).collect()
    }

    fn demand(&mut self, model: &Model) -> Demand {
        let stream = if self.rng.chance(80) { self.rng.word(STREAMS) } else { "visit/none".to_owned() };
        let actual = model.revision_of(&stream).0;
        match self.rng.below(10) {
            0..4 => {
                let revision = if self.rng.chance(85) { actual } else { self.rng.below(actual + 2) };
                Demand::Revision { stream, revision }
            }
            4 => Demand::Empty { stream },
            5 => Demand::Exists { stream },
            6..9 => {
                let after = Position(model.head().0.saturating_sub(self.rng.below(12)) + self.rng.below(3));
                Demand::NoneSince { filter: self.filter(model), after }
            }
            _ => Demand::Absent { filter: self.filter(model) },
        }
    }

    /// Makes a filter, sometimes with words.
    pub(crate) fn filter_with_words(&mut self, model: &Model) -> pb::Filter {
        let mut filter = self.filter(model);
        if self.rng.chance(25) {
            filter.text = self.rng.text();
        }
        filter
    }

    /// Makes a filter of up to three fields.
    pub(crate) fn filter(&mut self, model: &Model) -> pb::Filter {
        let mut filter = pb::Filter::default();
        for _ in 0..*self.rng.pick(&[0, 1, 1, 1, 2, 2, 3]) {
            self.field(&mut filter, model);
        }
        if self.rng.chance(20) {
            let mut not = pb::Filter::default();
            for _ in 0..self.rng.within(1, 2) {
                self.field(&mut not, model);
            }
            filter.not = Some(Box::new(not));
        }
        filter
    }

    fn field(&mut self, filter: &mut pb::Filter, model: &Model) {
        let rng = &mut self.rng;
        let number = |rng: &mut Rng, bound: u64| vec![i32::try_from(rng.below(bound)).unwrap() + 1];
        match rng.below(25) {
            0 => filter.streams = rng.words(STREAMS),
            1 | 2 => filter.stream_prefixes = rng.words(PREFIXES),
            3 => filter.kinds = number(rng, 6),
            4 | 5 => filter.entity_ids = rng.words(ENTITIES),
            6 => {
                let role = *rng.pick(&[1, 4, 5, 8, 9, 12]);
                filter.participations = vec![pb::Participation { entity_id: rng.word(ENTITIES), role }];
            }
            7 => filter.all_entity_ids = vec![rng.word(ENTITIES), rng.word(ENTITIES)],
            8 => filter.countries = rng.words(COUNTRIES),
            9 => filter.places = rng.words(PLACES),
            10 => filter.tags = rng.words(TAGS),
            11 => filter.source_ids = rng.words(SOURCES),
            12 => filter.publisher_ids = rng.words(PUBLISHERS),
            13 => filter.modalities = number(rng, 5),
            14 => filter.assertions = number(rng, 5),
            15 => filter.external_ids = vec![external_id(rng)],
            16 if !model.events.is_empty() => {
                filter.link_event_ids = vec![rng.pick(&model.events).id.to_string()]
            }
            17 => filter.funding_stages = number(rng, 4),
            18 => filter.agreement_actions = number(rng, 6),
            19 => filter.visit_statuses = number(rng, 6),
            20 => {
                filter.dataflows = rng.words(DATAFLOWS);
                filter.series_keys = if rng.chance(50) { rng.words(SERIES) } else { Vec::new() };
            }
            22 => filter.attributed_to = rng.words(PUBLISHERS),
            21 => filter.amount = Some(payload::amount_range(rng)),
            _ => payload::transfer_field(rng, filter),
        }
    }

    /// Makes a state of knowledge at or below the head.
    pub(crate) fn scope(&mut self, model: &Model) -> Scope {
        let as_of =
            if self.rng.chance(50) { model.head() } else { Position(self.rng.below(model.head().0 + 1)) };
        Scope { as_of, known_at: self.moment(model) }
    }

    /// Makes a bound of known time: none, that of an event, or just before it.
    pub(crate) fn moment(&mut self, model: &Model) -> Timestamp {
        if model.events.is_empty() || self.rng.chance(40) {
            return Timestamp::MAX;
        }
        let known = self.rng.pick(&model.events).known_at;
        Timestamp(known.0 - i64::from(self.rng.chance(30)))
    }

    /// Makes a question for a timeline.
    pub(crate) fn question(&mut self, model: &Model) -> Question {
        let window = self.rng.chance(60).then(|| self.window(model));
        let (filter, scope) = (self.filter(model), self.scope(model));
        Question { filter, window, scope, include_closed: self.rng.chance(40) }
    }

    /// Makes a question for a timeline, sometimes for words and by how well they fit.
    pub(crate) fn worded(&mut self, model: &Model) -> (Question, Order) {
        let (mut question, mut order) = (self.question(model), self.order());
        if self.rng.chance(25) {
            question.filter.text = self.rng.text();
            order = if self.rng.chance(50) { Order::Relevance } else { order };
        }
        (question, order)
    }

    /// Makes a window whose ends are often those of an event, or a day beside.
    fn window(&mut self, model: &Model) -> Between {
        let end = |rng: &mut Rng| -> Option<Day> {
            if rng.chance(20) {
                return None;
            }
            let random = Day::from_number(i32::try_from(rng.within(18_600, 20_000)).unwrap());
            if model.events.is_empty() || rng.chance(40) {
                return Some(random);
            }
            let span = &rng.pick(&model.events).span;
            let bound = if rng.chance(50) { span.earliest_start } else { span.latest_end };
            Some(bound.unwrap_or(random).plus_days(i32::try_from(rng.within(-1, 1)).unwrap()))
        };
        let (one, other) = (end(&mut self.rng), end(&mut self.rng));
        let ordered = one.zip(other).is_none_or(|(one, other)| one < other);
        let (from, to) = if ordered { (one, other) } else { (other, one) };
        let to = if from.is_some() && from == to { to.map(|to| to.plus_days(1)) } else { to };
        Between { from, to, must: self.rng.chance(40) }
    }

    pub(crate) fn order(&mut self) -> Order {
        *self.rng.pick(&[
            Order::ValidStart,
            Order::ValidStartDescending,
            Order::KnownAt,
            Order::KnownAtDescending,
            Order::Recorded,
            Order::RecordedDescending,
        ])
    }

    pub(crate) fn group_by(&mut self) -> Option<GroupBy> {
        use CalendarUnit::{Day, Decade, Month, Quarter, Week, Year};
        let rng = &mut self.rng;
        match rng.below(5) {
            0 => None,
            1 | 2 => {
                let axis = *rng.pick(&[Axis::Valid, Axis::Known, Axis::Recorded]);
                Some(GroupBy::Time(axis, *rng.pick(&[Day, Week, Month, Quarter, Year, Decade])))
            }
            _ => {
                let facets = [Facet::Kind, Facet::Entity, Facet::Country, Facet::Tag, Facet::Publisher];
                Some(GroupBy::Facet(*rng.pick(&facets)))
            }
        }
    }
}

fn link(link_type: i32, target: EventId) -> pb::Link {
    // Either case is the same id.
    let event_id = target.to_string().to_uppercase();
    pb::Link { r#type: link_type, event_id, ..pb::Link::default() }
}

fn external_id(rng: &mut Rng) -> pb::ExternalId {
    let (scheme, value) = *rng.pick(&[("geonames", "3183875"), ("wikidata", "Q222"), ("lei", "X1")]);
    pb::ExternalId { scheme: scheme.to_owned(), value: value.to_owned() }
}

/// Makes an entity by id, or by name alone.
fn entity(rng: &mut Rng, words: &[&str]) -> pb::EntityRef {
    let word = rng.word(words);
    let (id, name) = if word.contains(':') { (word, "n".to_owned()) } else { (String::new(), word) };
    let country = if rng.chance(40) { rng.word(COUNTRIES) } else { String::new() };
    let external_ids = if rng.chance(15) { vec![external_id(rng)] } else { Vec::new() };
    pb::EntityRef { id, name, country, external_ids, ..pb::EntityRef::default() }
}

fn place(rng: &mut Rng) -> pb::Place {
    let country = rng.word(COUNTRIES);
    let name = if rng.chance(70) { rng.word(&["Tirana", "London"]) } else { String::new() };
    let external_ids = if rng.chance(30) { vec![external_id(rng)] } else { Vec::new() };
    pb::Place { name, country, external_ids, role: *rng.pick(&[0, 1, 2, 3]), ..pb::Place::default() }
}

fn source(rng: &mut Rng) -> pb::Source {
    let id = if rng.chance(80) { rng.word(SOURCES) } else { String::new() };
    let publisher = rng.chance(60).then(|| entity(rng, PUBLISHERS));
    let published = rng.chance(60).then(|| time::published(rng));
    let quote = rng.chance(30).then(|| pb::Quote { exact: "q".to_owned(), ..pb::Quote::default() });
    let attribution = (0..rng.below(3)).map(|_| attribution(rng)).collect();
    pb::Source { id, publisher, published, quote, attribution, ..pb::Source::default() }
}

fn attribution(rng: &mut Rng) -> pb::Attribution {
    let by = rng.chance(90).then(|| entity(rng, PUBLISHERS));
    pb::Attribution { by, kind: i32::try_from(rng.below(6)).unwrap(), ..pb::Attribution::default() }
}
