//! Command lines in layers: what bundles say, and on top of it the kernel's own. Only workloads that ask for a bundle
//! come here.

use alloc::string::String;

use super::CommandLine;

/// The option that says which bundle has to be there.
const BUNDLE: &str = "bundle=";

impl<'a> CommandLine<'a> {
    /// [Reads](Self::parse) the command line of a workload that asks for a bundle; gives what stands behind `bundle=`,
    /// too.
    ///
    /// ```
    /// use ukernel::command_line::CommandLine;
    /// let (line, bundle) = CommandLine::parse_with_bundle("bundle=required log=info");
    /// assert_eq!(bundle, Some("required"));
    /// assert!(line.warnings().is_empty());
    /// assert!(!CommandLine::parse("bundle=required").warnings().is_empty());
    /// ```
    pub fn parse_with_bundle(text: &'a str) -> (Self, Option<&'a str>) {
        let mut line = CommandLine::default();
        let bundle = line.read_with_bundle(text);
        (line, bundle)
    }

    /// What bundles say, each its options and arguments: of two words about one thing the last counts, of several lists
    /// of arguments the last that is not empty, and each bundle's first `allow=` begins anew.
    ///
    /// ```
    /// use ukernel::command_line::CommandLine;
    /// let base = (["env=A=a b".to_string(), "env=B=b".to_string()], ["serve".to_string()]);
    /// let over = (["env=B=c".to_string()], []);
    /// let line = CommandLine::of_layers([(&base.0[..], &base.1[..]), (&over.0[..], &over.1[..])]);
    /// let line = line.overridden_by("env=C=d -- job");
    /// assert_eq!(line.variables, [("A", "a b"), ("B", "c"), ("C", "d")]);
    /// assert_eq!(line.arguments, ["job"]);
    /// ```
    pub fn of_layers(layers: impl IntoIterator<Item = (&'a [String], &'a [String])>) -> Self {
        let mut line = CommandLine::default();
        for (options, arguments) in layers {
            line.policy.begin_anew();
            for option in options {
                line.take_option(option);
            }
            if !arguments.is_empty() {
                line.arguments = arguments.iter().map(String::as_str).collect();
            }
        }
        line
    }

    /// Puts a kernel's command line on top of what bundles said. The warnings are those about this line.
    pub fn overridden_by(mut self, text: &'a str) -> Self {
        self.warnings.clear();
        self.unsaid_warnings = 0;
        self.policy.begin_anew();
        let arguments = core::mem::take(&mut self.arguments);
        self.read_with_bundle(text);
        if self.arguments.is_empty() {
            self.arguments = arguments;
        }
        self
    }

    fn read_with_bundle(&mut self, text: &'a str) -> Option<&'a str> {
        let mut bundle = None;
        self.read(text, |line, word| match word.strip_prefix(BUNDLE) {
            Some(value) => bundle = Some(value),
            None => line.take_option(word),
        });
        bundle
    }
}
