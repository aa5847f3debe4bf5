//! The guide: each command in it is run, and prints what the guide says.

use crate::events::root;
use crate::harness::{Server, annals};

/// Marks of a command and of what it prints.
const COMMAND: &str = "```sh\n";
const PRINTED: &str = "```text\n";
const END: &str = "```\n";

/// Splits a command line as a shell would that knows only words and quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[test]
fn words_of_a_command_line() {
    assert_eq!(words("a  'b c' \"d'e\" ''"), ["a", "b c", "d'e", ""]);
}

/// `UPDATE_EXPECT=1` writes what the commands print into the guide.
#[test]
fn every_command_of_the_guide_prints_what_it_says() {
    let server = Server::start();
    server.import_article();
    let path = root().join("docs/guide.md");
    let guide = std::fs::read_to_string(&path).unwrap();
    let mut made = String::new();
    let mut rest = guide.as_str();
    let mut commands = 0;
    while let Some(at) = rest.find(COMMAND) {
        let (before, after) = rest.split_at(at + COMMAND.len());
        let (command, after) = after.split_once(END).unwrap();
        made.push_str(before);
        made.push_str(command);
        made.push_str(END);
        rest = after;
        let Some(after) = rest.strip_prefix(PRINTED) else { continue };
        let (_, after) = after.split_once(END).unwrap();
        let line = words(command.trim().strip_prefix("annals ").unwrap());
        let url = server.url();
        let mut arguments: Vec<&str> = line.iter().map(String::as_str).collect();
        arguments.extend(["--server", &url]);
        let output = annals(&arguments);
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        let printed = String::from_utf8(output.stdout).unwrap();
        // Spaces at the end of a line are nothing to look at.
        let printed: Vec<&str> = printed.lines().map(str::trim_end).collect();
        made.push_str(&format!("{PRINTED}{}\n{END}", printed.join("\n")));
        rest = after;
        commands += 1;
    }
    made.push_str(rest);
    assert!(commands >= 8, "only {commands} commands were run");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, made).unwrap();
    } else {
        assert!(
            made == guide,
            "docs/guide.md is not what the commands print: UPDATE_EXPECT=1 writes it anew"
        );
    }
}
