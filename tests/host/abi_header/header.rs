//! Reads the kernel's C header: the names, structures and functions that it declares. It knows the
//! header's own style, and is no C parser; the values are for a compiler to check.

use std::collections::BTreeMap;

/// A C header, without its comments.
pub(super) struct Header(String);

/// A function's parameters, by the types that they have in Rust.
pub(super) type Functions = BTreeMap<String, Vec<String>>;

impl Header {
    /// The header with this text.
    pub(super) fn new(text: &str) -> Header {
        Header(without_comments(text))
    }

    /// The names of all constants: of enumerations, and macros that are one number.
    pub(super) fn constants(&self) -> Vec<String> {
        let enumerations = self.0.split("enum {").skip(1).map(up_to_brace);
        let members = enumerations.flat_map(|body| body.split(','));
        let members = members.map(|member| member.split('=').next().unwrap_or_default());
        let members = members.map(str::trim).filter(|name| !name.is_empty());
        let macros = self.0.lines().filter_map(|line| {
            let (name, value) = line.strip_prefix("#define ")?.split_once(' ')?;
            (!name.contains('(') && !value.trim().is_empty()).then_some(name)
        });
        members.chain(macros).map(String::from).collect()
    }

    /// The structures, each with the names of its fields in their order.
    pub(super) fn structures(&self) -> BTreeMap<String, Vec<String>> {
        let texts = self.0.split("typedef struct {").skip(1);
        let structures = texts.map(|text| {
            let (body, rest) = text.split_once('}').expect("a structure ends");
            let name = rest.split(';').next().expect("it has a name").trim();
            let fields = body
                .split(';')
                .map(str::trim)
                .filter(|field| !field.is_empty());
            (name.to_string(), fields.map(field_name).collect())
        });
        structures.collect()
    }

    /// The functions.
    pub(super) fn functions(&self) -> Functions {
        let declarations = self.0.split(';').map(str::trim);
        let declared = declarations.filter_map(|text| {
            let (_, text) = text
                .rsplit_once("result_t ")
                .filter(|(_, text)| text.ends_with(')'))?;
            let (name, parameters) = text.split_once('(')?;
            let parameters = parameters.trim_end_matches(')').split(',').map(str::trim);
            let types = parameters.filter(|text| *text != "void").map(rust_type);
            Some((name.to_string(), types.collect()))
        });
        declared.collect()
    }
}

fn without_comments(text: &str) -> String {
    let mut parts = text.split("/*");
    let first = parts.next().unwrap_or_default();
    let rest = parts.map(|part| part.split_once("*/").expect("a comment ends").1);
    std::iter::once(first).chain(rest).collect()
}

fn up_to_brace(text: &str) -> &str {
    text.split('}').next().unwrap_or_default()
}

/// The name in `u8 ip[4]`.
fn field_name(field: &str) -> String {
    let name = field.rsplit(' ').next().expect("a field has a name");
    name.split('[').next().expect("split gives one").to_string()
}

/// The type that a parameter such as `const io_vec_t *vec` has in Rust.
fn rust_type(parameter: &str) -> String {
    let wide = ["handle_t", "ptr_t", "size_t", "time_ns", "u64"];
    let name = parameter.split(' ').next().expect("split gives one");
    if parameter.contains('*') || wide.contains(&name) {
        return String::from("u64");
    }
    String::from(name)
}

/// The functions that a Rust source file exports to C.
pub(super) fn exported(source: &str) -> Functions {
    let functions = source.split("extern \"C\" fn ").skip(1).map(|text| {
        let (name, rest) = text.split_once('(').expect("a function has parameters");
        let (parameters, _) = rest.split_once(')').expect("they end");
        let types = parameters
            .split(',')
            .filter_map(|parameter| parameter.split_once(':'));
        let types = types.map(|(_, kind)| kind.trim().to_string());
        (name.to_string(), types.collect())
    });
    functions.collect()
}
