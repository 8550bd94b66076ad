//! The date in the PC's battery-backed clock (MC146818), for machines whose hypervisor does not
//! tell it otherwise. Exact to a second.
//!
//! ```
//! use ukernel::clock::rtc;
//! // 2026-08-30 12:34:56 in the binary-coded decimal that the chip counts in, 24 hours.
//! let registers = |register| match register {
//!     0 => 0x56, 2 => 0x34, 4 => 0x12, 7 => 0x30, 8 => 0x08, 9 => 0x26, 0x0b => 0x02, _ => 0,
//! };
//! assert_eq!(rtc::read(registers), Some(1_788_093_296));
//! ```

/// How often the registers are read before the chip is given up: twice is enough unless a second
/// ends in between.
const MAX_TRIES: u32 = 8;

const SECONDS: u8 = 0;
const MINUTES: u8 = 2;
const HOURS: u8 = 4;
const DAY: u8 = 7;
const MONTH: u8 = 8;
const YEAR: u8 = 9;
const STATUS_A: u8 = 0x0a;
const STATUS_B: u8 = 0x0b;
const UPDATE_IN_PROGRESS: u8 = 0x80;
const HOURS_24: u8 = 0x02;
const BINARY: u8 = 0x04;
const PM: u8 = 0x80;

/// Seconds since 1970. `register` reads one of the chip's. `None` where there is no chip: it answers
/// with what cannot be a date.
pub fn read(mut register: impl FnMut(u8) -> u8) -> Option<u64> {
    for _ in 0..MAX_TRIES {
        if register(STATUS_A) & UPDATE_IN_PROGRESS != 0 {
            continue;
        }
        let fields = [SECONDS, MINUTES, HOURS, DAY, MONTH, YEAR];
        let first = fields.map(&mut register);
        // An update between two registers shows as a difference.
        if first == fields.map(&mut register) {
            return decode(first, register(STATUS_B));
        }
    }
    None
}

fn decode([seconds, minutes, hours, day, month, year]: [u8; 6], format: u8) -> Option<u64> {
    let number = |value: u8| {
        if format & BINARY != 0 {
            u64::from(value)
        } else {
            u64::from(value >> 4) * 10 + u64::from(value & 0xf)
        }
    };
    let hour = if format & HOURS_24 != 0 {
        number(hours)
    } else {
        number(hours & !PM) % 12 + if hours & PM != 0 { 12 } else { 0 }
    };
    let (day, month) = (number(day), number(month));
    let (minutes, seconds) = (number(minutes), number(seconds));
    let valid = seconds < 60
        && minutes < 60
        && hour < 24
        && (1..=31).contains(&day)
        && (1..=12).contains(&month);
    // No machine that this kernel boots on has a clock from before 2000.
    let days = days_since_1970(2000 + number(year), month, day);
    valid.then(|| days * 86_400 + hour * 3_600 + minutes * 60 + seconds)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar: years and months are counted from
/// March, so that the leap day is the last of its year.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days_before_month = (153 * month + 2) / 5;
    // 719,469 days lie between 1 March of the year 0 and the day before 2 January 1970.
    (year * 365 + leap_days + days_before_month + day).saturating_sub(719_469)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::Cell;

    #[test]
    fn knows_the_calendar() {
        assert_eq!(days_since_1970(1970, 1, 1), 0);
        assert_eq!(days_since_1970(2000, 2, 29), 11_016);
        assert_eq!(days_since_1970(2000, 3, 1), 11_017);
        assert_eq!(days_since_1970(2026, 11, 20), 20_777);
        assert_eq!(
            days_since_1970(2100, 3, 1) - days_since_1970(2100, 2, 28),
            1
        );
    }

    #[test]
    fn twelve_hour_clocks_know_noon_and_midnight() {
        let at = |hours| decode([0, 0, hours, 1, 1, 0x70], BINARY).unwrap() % 86_400 / 3_600;
        assert_eq!(at(12), 0);
        assert_eq!(at(12 | PM), 12);
        assert_eq!(at(11 | PM), 23);
    }

    #[test]
    fn absent_chips_have_no_date() {
        assert_eq!(read(|_| 0xff), None);
        assert_eq!(read(|_| 0), None);
    }

    #[test]
    fn a_second_that_ends_while_reading_is_read_again() {
        let reads = Cell::new(0u32);
        let register = |register| {
            reads.set(reads.get() + 1);
            match register {
                // The first pass sees 59 seconds, all later ones the next minute.
                SECONDS if reads.get() < 5 => 0x59,
                SECONDS => 0x00,
                MINUTES => 0x35,
                HOURS => 0x12,
                DAY => 0x30,
                MONTH => 0x08,
                YEAR => 0x26,
                STATUS_B => HOURS_24,
                _ => 0,
            }
        };
        assert_eq!(read(register), Some(1_788_093_300));
    }
}
