//! Lines in which a guest or the plugin says something as `name=value`, one space between fields.

use std::str::FromStr;

/// The value of a field, up to the next space.
pub(crate) fn text<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let mut words = line.split_whitespace();
    words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

/// The same as a number.
pub(crate) fn number<T: FromStr>(line: &str, name: &str) -> Option<T> {
    text(line, name)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "1.2 INFO bench: disk=read disk_depth=32 nanos=17";

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        assert_eq!(text(LINE, "disk"), Some("read"));
        assert_eq!(text(LINE, "depth"), None);
        assert_eq!(text(LINE, "disk_d"), None);
        assert_eq!(number(LINE, "disk_depth"), Some(32));
        assert_eq!(number(LINE, "nanos"), Some(17.0));
    }

    #[test]
    fn what_is_no_number_is_none() {
        assert_eq!(number::<u64>(LINE, "disk"), None);
        assert_eq!(number::<u64>("nanos=-1", "nanos"), None);
        assert_eq!(number::<u64>("nanos=", "nanos"), None);
    }
}
