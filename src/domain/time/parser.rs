//! Reads EDTF: ISO 8601-2 levels 0 and 1, one-of sets, and quarters 33–36.
//!
//! ```text
//! text     = date | end "/" end | "[" member *("," member) "]"
//! end      = date | ".." | nothing
//! member   = date | ".." date | date ".." | date ".." date
//! date     = (year ["-" month ["-" day]] | "Y" long-year) ["?" | "~" | "%"]
//!          | year "-" month "-" day "T" hh ":" mm [":" ss] ["Z" | ("+" | "-") hh [":" mm]]
//! ```

use super::day::{Day, days_in_month};
use super::edtf::{Date, Edtf, EdtfError, EdtfReason, End, Member, Part, Precision};

/// Reads a text.
///
/// # Errors
/// [`EdtfError`] for the first fault, by its byte offset.
pub fn parse(text: &str) -> Result<Edtf, EdtfError> {
    let mut parser = Parser { bytes: text.as_bytes(), offset: 0 };
    let edtf = match parser.peek() {
        None => return parser.fail(EdtfReason::Empty),
        Some(b'{') => return parser.fail(EdtfReason::AllOf),
        Some(b'[') => parser.one_of()?,
        Some(_) => parser.date_or_interval()?,
    };
    match parser.peek() {
        None => Ok(edtf),
        Some(_) => parser.fail(EdtfReason::Trailing),
    }
}

/// A year as written.
enum Year {
    Known(i32),
    Some {
        first: i32,
        last: i32,
        precision: Precision,
        /// Offset of the first `X`.
        unspecified_at: usize,
    },
}

/// Two places that hold a number or `XX`.
enum Pair {
    Number(i32),
    Unspecified,
}

struct Parser<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.offset).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.offset += usize::from(found);
        found
    }

    fn eat_open(&mut self) -> bool {
        let rest = self.bytes.get(self.offset..).unwrap_or_default();
        let found = rest.starts_with(b"..");
        self.offset += if found { 2 } else { 0 };
        found
    }

    fn digit(&mut self, expected: &'static str) -> Result<i32, EdtfError> {
        match self.peek() {
            Some(byte @ b'0'..=b'9') => {
                self.offset += 1;
                Ok(i32::from(byte - b'0'))
            }
            _ => self.fail(EdtfReason::Expected(expected)),
        }
    }

    fn fail<T>(&self, reason: EdtfReason) -> Result<T, EdtfError> {
        fail_at(self.offset, reason)
    }

    fn date_or_interval(&mut self) -> Result<Edtf, EdtfError> {
        let start = self.end()?;
        if self.eat(b'/') {
            return self.interval(start);
        }
        match start {
            End::Date(date) => Ok(Edtf::Date(date)),
            End::Open | End::Unknown => self.fail(EdtfReason::Expected("/ and the end")),
        }
    }

    fn interval(&mut self, start: End) -> Result<Edtf, EdtfError> {
        let end = self.end()?;
        if start == End::Unknown && end == End::Unknown {
            return fail_at(0, EdtfReason::NoEnds);
        }
        if let (End::Date(start), End::Date(end)) = (&start, &end) {
            start.check_order(end).or_else(|r| fail_at(end.offset, r))?;
        }
        Ok(Edtf::Interval { start, end })
    }

    fn end(&mut self) -> Result<End, EdtfError> {
        if self.eat_open() {
            return Ok(End::Open);
        }
        match self.peek() {
            None | Some(b'/') => Ok(End::Unknown),
            Some(_) => self.date().map(End::Date),
        }
    }

    fn one_of(&mut self) -> Result<Edtf, EdtfError> {
        self.offset += 1;
        let mut members = Vec::new();
        loop {
            if self.peek() == Some(b'.') && !members.is_empty() {
                return self.fail(EdtfReason::OpenInside);
            }
            members.push(self.member()?);
            if self.eat(b']') {
                return Ok(Edtf::OneOf(members));
            }
            if !self.eat(b',') {
                return self.fail(EdtfReason::Expected(", or ]"));
            }
        }
    }

    fn member(&mut self) -> Result<Member, EdtfError> {
        if self.eat_open() {
            return self.member_date().map(Member::UpTo);
        }
        let from = self.member_date()?;
        let dots = self.offset;
        if !self.eat_open() {
            return Ok(Member::Date(from));
        }
        match self.peek() {
            Some(b']') => Ok(Member::From(from)),
            Some(b',') => fail_at(dots, EdtfReason::OpenInside),
            None | Some(_) => {
                let to = self.member_date()?;
                from.check_order(&to).or_else(|r| fail_at(to.offset, r))?;
                Ok(Member::Range(from, to))
            }
        }
    }

    fn member_date(&mut self) -> Result<Date, EdtfError> {
        let date = self.date()?;
        if matches!(date.part, Part::Moment { .. }) {
            return fail_at(date.offset, EdtfReason::TimeInSet);
        }
        Ok(date)
    }

    fn date(&mut self) -> Result<Date, EdtfError> {
        let offset = self.offset;
        let part = self.part()?;
        let mark = self.peek().filter(|byte| b"?~%".contains(byte));
        if mark.is_some() {
            if matches!(part, Part::Moment { .. }) {
                return self.fail(EdtfReason::MarkedTime);
            }
            if self.bytes.get(self.offset + 1) == Some(&b'-') {
                return self.fail(MARK_ON_PART);
            }
            self.offset += 1;
        }
        Ok(Date {
            offset,
            part,
            approximate: matches!(mark, Some(b'~' | b'%')),
            uncertain: matches!(mark, Some(b'?' | b'%')),
        })
    }

    fn part(&mut self) -> Result<Part, EdtfError> {
        let offset = self.offset;
        if self.eat(b'Y') {
            return self.long_year(offset).map(Part::Year);
        }
        let year = match self.year()? {
            Year::Known(year) => year,
            Year::Some { unspecified_at, .. } if self.peek() == Some(b'-') => {
                return fail_at(unspecified_at, EdtfReason::Unspecified);
            }
            Year::Some { first, last, precision, .. } => {
                return Ok(Part::SomeYear { first, last, precision });
            }
        };
        if !self.eat(b'-') {
            return Ok(Part::Year(year));
        }
        let month_at = self.offset;
        match self.pair("a two-digit month")? {
            Pair::Unspecified => self.after_unspecified_month(year),
            Pair::Number(month @ 1..=12) => self.after_month(year, month),
            // Winter ends in February of the next year.
            Pair::Number(24) if year == 9999 => fail_at(offset, EdtfReason::YearRange),
            Pair::Number(code @ 21..=24) => Ok(Part::Season { year, code }),
            Pair::Number(code @ 33..=36) => Ok(Part::Quarter { year, code }),
            Pair::Number(25..=32 | 37..=41) => fail_at(month_at, OTHER_GROUPING),
            Pair::Number(_) => fail_at(month_at, EdtfReason::Month),
        }
    }

    /// `Y` and at least four digits, though nothing beyond ±9999 has a place here.
    fn long_year(&mut self, offset: usize) -> Result<i32, EdtfError> {
        const EXPECTED: &str = "a year of four digits or more after Y";
        let negative = self.eat(b'-');
        let mut year = 0_i32;
        for _ in 0..4 {
            year = year * 10 + self.digit(EXPECTED)?;
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            year = year.saturating_mul(10).saturating_add(self.digit(EXPECTED)?);
        }
        self.refuse_year_suffix()?;
        if year > 9999 {
            return fail_at(offset, EdtfReason::YearRange);
        }
        signed_year(negative, year, offset)
    }

    fn year(&mut self) -> Result<Year, EdtfError> {
        const EXPECTED: &str = "a four-digit year";
        let offset = self.offset;
        self.refuse_mark_before()?;
        let negative = self.eat(b'-');
        let mut digits = 0;
        let mut year = 0;
        while digits < 4 && self.peek() != Some(b'X') {
            year = year * 10 + self.digit(EXPECTED)?;
            digits += 1;
        }
        let unspecified_at = self.offset;
        let mut places = digits;
        while places < 4 {
            if !self.eat(b'X') {
                // A digit after an X, or a text that is too short.
                let is_digit = self.peek().is_some_and(|byte| byte.is_ascii_digit());
                return if is_digit {
                    fail_at(unspecified_at, EdtfReason::Unspecified)
                } else {
                    self.fail(EdtfReason::Expected(EXPECTED))
                };
            }
            places += 1;
        }
        if matches!(self.peek(), Some(b'0'..=b'9' | b'X')) {
            return self.fail(EdtfReason::YearDigits);
        }
        self.refuse_year_suffix()?;
        let (span, precision) = match digits {
            4 => return signed_year(negative, year, offset).map(Year::Known),
            3 => (10, Precision::Decade),
            2 => (100, Precision::Century),
            _ => return fail_at(unspecified_at, EdtfReason::Unspecified),
        };
        let (low, high) = (year * span, year * span + span - 1);
        let (first, last) = if negative {
            // There is no year -0000.
            (-high, -low.max(1))
        } else {
            (low, high)
        };
        Ok(Year::Some { first, last, precision, unspecified_at })
    }

    fn after_unspecified_month(&mut self, year: i32) -> Result<Part, EdtfError> {
        let unspecified_at = self.offset - 2;
        if !self.eat(b'-') {
            return Ok(Part::SomeMonth { year });
        }
        match self.pair("XX")? {
            Pair::Unspecified => Ok(Part::SomeDayOfYear { year }),
            Pair::Number(_) => fail_at(unspecified_at, EdtfReason::Unspecified),
        }
    }

    fn after_month(&mut self, year: i32, month: i32) -> Result<Part, EdtfError> {
        if !self.eat(b'-') {
            return Ok(Part::Month { year, month });
        }
        let day_at = self.offset;
        let day = match self.pair("a two-digit day")? {
            Pair::Unspecified => return Ok(Part::SomeDayOfMonth { year, month }),
            Pair::Number(day) => day,
        };
        let last = days_in_month(year, month);
        if !(1..=last).contains(&day) {
            return fail_at(day_at, EdtfReason::DayOfMonth { last });
        }
        let day = Day::first_of(year, month).plus_days(day - 1);
        if self.eat(b'T') { self.time(day) } else { Ok(Part::Day(day)) }
    }

    fn time(&mut self, day: Day) -> Result<Part, EdtfError> {
        let hour = self.clock("a two-digit hour", 23, EdtfReason::Hour)?;
        if !self.eat(b':') {
            return self.fail(EdtfReason::Expected(": and the minute"));
        }
        let minute = self.clock("a two-digit minute", 59, EdtfReason::Minute)?;
        let (second, precision) = if self.eat(b':') {
            let second = self.clock("a two-digit second", 59, EdtfReason::Second)?;
            (second, Precision::Second)
        } else {
            (0, Precision::Minute)
        };
        if matches!(self.peek(), Some(b'.' | b',')) {
            return self.fail(EdtfReason::Fraction);
        }
        Ok(Part::Moment {
            day,
            second: hour * 3600 + minute * 60 + second,
            precision,
            utc_offset: self.utc_offset()?,
        })
    }

    fn utc_offset(&mut self) -> Result<Option<i32>, EdtfError> {
        if self.eat(b'Z') {
            return Ok(Some(0));
        }
        let negative = self.peek() == Some(b'-');
        if !negative && self.peek() != Some(b'+') {
            return Ok(None);
        }
        self.offset += 1;
        let hours = self.clock("a two-digit hour", 23, EdtfReason::Hour)?;
        let minutes =
            if self.eat(b':') { self.clock("a two-digit minute", 59, EdtfReason::Minute)? } else { 0 };
        let seconds = (hours * 3600 + minutes * 60).cast_signed();
        Ok(Some(if negative { -seconds } else { seconds }))
    }

    fn clock(&mut self, expected: &'static str, max: u32, reason: EdtfReason) -> Result<u32, EdtfError> {
        let offset = self.offset;
        let value = self.digit(expected)? * 10 + self.digit(expected)?;
        match u32::try_from(value) {
            Ok(value) if value <= max => Ok(value),
            Ok(_) | Err(_) => fail_at(offset, reason),
        }
    }

    fn pair(&mut self, expected: &'static str) -> Result<Pair, EdtfError> {
        self.refuse_mark_before()?;
        let offset = self.offset;
        if self.eat(b'X') {
            if self.eat(b'X') {
                return Ok(Pair::Unspecified);
            }
            return fail_at(offset, EdtfReason::Unspecified);
        }
        let tens = self.digit(expected)?;
        if self.peek() == Some(b'X') {
            return self.fail(EdtfReason::Unspecified);
        }
        Ok(Pair::Number(tens * 10 + self.digit(expected)?))
    }

    fn refuse_mark_before(&self) -> Result<(), EdtfError> {
        match self.peek() {
            Some(b'?' | b'~' | b'%') => self.fail(MARK_ON_PART),
            _ => Ok(()),
        }
    }

    fn refuse_year_suffix(&self) -> Result<(), EdtfError> {
        match self.peek() {
            Some(b'E') => self.fail(EdtfReason::Level2("an exponential year")),
            Some(b'S') => self.fail(EdtfReason::Level2("significant digits of a year")),
            _ => Ok(()),
        }
    }
}

const MARK_ON_PART: EdtfReason = EdtfReason::Level2("?, ~ or % on a part of a date");
const OTHER_GROUPING: EdtfReason =
    EdtfReason::Level2("a part of a year other than seasons 21 to 24 and quarters 33 to 36");

fn signed_year(negative: bool, year: i32, offset: usize) -> Result<i32, EdtfError> {
    match (negative, year) {
        (true, 0) => fail_at(offset, EdtfReason::NegativeZero),
        (true, _) => Ok(-year),
        (false, _) => Ok(year),
    }
}

fn fail_at<T>(offset: usize, reason: EdtfReason) -> Result<T, EdtfError> {
    Err(EdtfError { offset, reason })
}

#[cfg(test)]
mod tests;
