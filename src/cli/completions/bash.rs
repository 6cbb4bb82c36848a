//! Completions for bash. They need no `bash-completion` package.

use std::fmt::Write as _;

use super::{PROGRAM, choices, default_command, positions};
use crate::cli::features::Feature;
use crate::cli::options::{ALL_OPTIONS, CommandOption, Value};
use crate::cli::table::commands;

/// Reads the command line up to the cursor: the option that awaits its value, and the words that are no options.
const HEAD: &str = r"_mission_control_runtime() {
    local cur=${COMP_WORDS[COMP_CWORD]} path= option= words= options= kind= word names split i
    # bash splits `--option=value` into three words.
    [[ $cur == = ]] && cur=
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word == = ]]; then
            continue
        elif [[ -n $option ]]; then
            option=
            continue
        fi
        case $word in
";

const TAIL: &str = r#"    esac
    if [[ -z $option && $cur == -* ]]; then
        words="$options --help" kind=
    fi
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    if [[ -n $kind ]]; then
        # Files or folders.
        case $kind in
            file) mapfile -t names < <(compgen -f -- "$cur") ;;
            folder) mapfile -t names < <(compgen -d -- "$cur") ;;
        esac
        # compgen prints one name a line, so the parts of a name with a line break are replaced by the name.
        split=("$cur"*$'\n'*)
        if [[ -e ${split[0]} ]]; then
            for word in "${names[@]}"; do [[ ! -e $word ]] || COMPREPLY+=("$word"); done
            for word in "${split[@]}"; do [[ $kind == folder && ! -d $word ]] || COMPREPLY+=("$word"); done
        else
            COMPREPLY+=("${names[@]}")
        fi
        compopt -o filenames 2>/dev/null
    fi
}
complete -F _mission_control_runtime mission-control-runtime
"#;

/// The script for a build with these features.
pub(super) fn script(build: &[Feature]) -> String {
    let mut text =
        format!("# Completions of {PROGRAM} for bash. Printed by `{PROGRAM} completions bash`.\n{HEAD}");
    let with_value: Vec<String> =
        ALL_OPTIONS.iter().filter(|option| option.value.is_some()).map(|option| long(option)).collect();
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "            {}) option=$word ;;", with_value.join("|"));
    text.push_str("            -*) ;;\n            *) path+=\" $word\" ;;\n        esac\n    done\n    case $option$path in\n");
    let names: Vec<&str> = commands(build).map(|command| command.name).collect();
    let options = default_command(build).map_or(&[][..], |command| command.options);
    let _ = writeln!(
        text,
        "        \"\") words='{}' options='{} --version' ;;",
        names.join(" "),
        joined(options)
    );
    for position in positions(build) {
        let subcommand = position.subcommand.map_or(String::new(), |sub| format!(" {}", sub.name));
        let mut words: Vec<&str> = position.subcommands().iter().map(|sub| sub.name).collect();
        let mut kind = "";
        if let Some((_, value)) = position.operand() {
            words.extend(choices(value, build).0);
            kind = kind_of(value);
        }
        let (words, options) = (words.join(" "), joined(position.options()));
        let path = format!(" {}{subcommand}", position.command.name);
        let _ = writeln!(text, "        '{path}') words='{words}' options='{options}' kind={kind} ;;");
        if position.operand().is_some() {
            let _ = writeln!(text, "        '{path} '*) options='{options}' ;;");
        }
    }
    for (name, value) in values() {
        let words = choices(value, build).0.join(" ");
        let _ = writeln!(text, "        {name}|'{name} '*) words='{words}' kind={} ;;", kind_of(value));
    }
    text + TAIL
}

/// The options with a value.
fn values() -> impl Iterator<Item = (String, Value)> {
    ALL_OPTIONS.iter().filter_map(|option| Some((long(option), option.value?.1)))
}

fn kind_of(value: Value) -> &'static str {
    match value {
        Value::File | Value::OneOfOrFile(_) => "file",
        Value::Folder => "folder",
        Value::Text | Value::OneOf(_) | Value::Command => "",
    }
}

fn long(option: &CommandOption) -> String {
    format!("--{}", option.name)
}

fn joined(options: &[&CommandOption]) -> String {
    options.iter().map(|option| long(option)).collect::<Vec<_>>().join(" ")
}
