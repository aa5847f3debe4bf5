//! Random times: few days, so that they meet, in every form that EDTF has.

use annals::domain::Timestamp;
use annals::pb;

use super::Rng;

const DAY_MICROS: i64 = 86_400_000_000;

fn year(rng: &mut Rng) -> String {
    if rng.chance(85) {
        return rng.within(2021, 2023).to_string();
    }
    (*rng.pick(&["1912", "0000", "-0044", "-0301", "0476", "2019"])).to_owned()
}

fn day(rng: &mut Rng) -> String {
    format!("{}-{:02}-{:02}", year(rng), rng.within(1, 12), rng.pick(&[1, 2, 15, 28]))
}

fn date(rng: &mut Rng) -> String {
    let year = year(rng);
    match rng.below(10) {
        0..4 => day(rng),
        4 | 5 => format!("{year}-{:02}", rng.within(1, 12)),
        6 => year,
        7 => format!("{year}-{}", rng.within(33, 36)),
        8 => format!("{year}-{}", rng.within(21, 24)),
        _ => (*rng.pick(&["202X", "19XX", "2022-XX", "2022-05-XX", "2021-XX-XX", "-004X"])).to_owned(),
    }
}

fn marked(rng: &mut Rng) -> String {
    let mark = *rng.pick(&["", "", "", "", "~", "?", "%"]);
    format!("{}{mark}", date(rng))
}

/// Gives two days in order.
fn two_days(rng: &mut Rng) -> (String, String) {
    let (one, other) = (rng.within(2021, 2022), rng.within(1, 12));
    (format!("{one}-{other:02}-{:02}", rng.within(1, 28)), format!("{}-{other:02}-28", rng.within(one, 2023)))
}

/// Makes a valid time.
pub(super) fn valid(rng: &mut Rng) -> pb::TimeSpan {
    let (first, last) = two_days(rng);
    let edtf = match rng.below(20) {
        0..10 => marked(rng),
        10 | 11 => format!("{first}/{last}"),
        12 => format!("{first}/.."),
        13 => format!("../{last}"),
        14 => (*rng.pick(&["../..", "2022~/2023", "2021-05-XX/2021-05-10", "2022/"])).to_owned(),
        15 => format!("[{first},{last}]"),
        16 => format!("[{first}..{last}]"),
        17 => format!("[..{last}]"),
        18 => format!("[{first}..]"),
        _ => format!("{first}T10:30:00Z"),
    };
    let shape = if rng.chance(60) { 0 } else { i32::try_from(rng.within(1, 3)).unwrap() };
    let time_zone = (*rng.pick(&["", "", "UTC", "Europe/Tirane"])).to_owned();
    pb::TimeSpan { edtf, shape, time_zone, ..pb::TimeSpan::default() }
}

/// Makes the time at which a source was published.
pub(super) fn published(rng: &mut Rng) -> pb::TimeSpan {
    let (first, _) = two_days(rng);
    let edtf = match rng.below(6) {
        0..3 => first,
        3 => format!("2023-{:02}", rng.within(1, 12)),
        4 => format!("{first}T09:00:00+02:00"),
        _ => (*rng.pick(&["2022", "[..2022-03-01]", "2022-05-01/.."])).to_owned(),
    };
    let time_zone = (*rng.pick(&["", "", "Europe/London", "Europe/Tirane"])).to_owned();
    pb::TimeSpan { edtf, time_zone, ..pb::TimeSpan::default() }
}

/// Makes a known time of the last two years, often the same one, at most at `now`.
pub(super) fn known(rng: &mut Rng, now: Timestamp) -> prost_types::Timestamp {
    let days = *rng.pick(&[0, 1, 30, 31, 100, 365, 366, 700]);
    let micros = now.0 / DAY_MICROS * DAY_MICROS - days * DAY_MICROS + rng.pick(&[0, 0, 0, -1, -500]);
    let nanos = i32::try_from(micros.rem_euclid(1_000_000)).unwrap() * 1_000;
    // Parts of a microsecond are kept, and not compared.
    let part = if rng.chance(20) { 7 } else { 0 };
    prost_types::Timestamp { seconds: micros.div_euclid(1_000_000), nanos: nanos + part }
}
