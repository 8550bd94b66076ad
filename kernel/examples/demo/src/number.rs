//! Decimal numbers in paths, queries and arguments.

/// Reads a decimal number. Only digits: `parse` alone would accept a sign. One function for all
/// widths, because each width of `parse` is code of its own.
pub fn decimal(text: &str) -> Option<u64> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_alone_are_a_number() {
        assert_eq!(decimal("0"), Some(0));
        assert_eq!(decimal("18446744073709551615"), Some(u64::MAX));
        for text in [
            "",
            "+1",
            "-1",
            " 1",
            "1 ",
            "0x1",
            "1e3",
            "18446744073709551616",
            "١",
        ] {
            assert_eq!(decimal(text), None, "{text:?}");
        }
    }
}
