//! `annals series` and `annals compare` against the real program, with the article's data.

use serde_json::{Value, json};

use crate::events::id;
use crate::harness::{Server, annals, append};

const FLOW: &str = "GB.HO:SMALL_BOAT_ARRIVALS(1.0)";
const ANNUAL: &str = "A.AL.SMALL_BOAT";

struct Shell {
    server: Server,
}

impl Shell {
    fn run(&self, arguments: &[&str]) -> String {
        let url = self.server.url();
        let all: Vec<&str> = ["--server", &url].into_iter().chain(arguments.iter().copied()).collect();
        let output = annals(&all);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Gives the exit code and what was said of a failure.
    fn fails(&self, arguments: &[&str]) -> (i32, String) {
        let url = self.server.url();
        let all: Vec<&str> = ["--server", &url].into_iter().chain(arguments.iter().copied()).collect();
        let output = annals(&all);
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    /// Gives the cells of the line that begins with a word; columns are two or more spaces apart.
    fn row(&self, arguments: &[&str], first: &str) -> Vec<String> {
        let text = self.run(arguments);
        let cells = |line: &str| -> Vec<String> {
            line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect()
        };
        let mut rows = text.lines().map(cells).filter(|row| row.first().is_some_and(|cell| cell == first));
        rows.next().unwrap_or_else(|| panic!("no row {first} in\n{text}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn series_are_listed_and_shown() {
    let shell = Shell { server: Server::start() };
    assert_eq!(shell.run(&["series"]), "0 series as of position 0\n");
    shell.server.import_article();
    let list = shell.run(&["series"]);
    assert!(list.contains(ANNUAL) && list.contains("X._T.SMALL_BOAT") && list.contains("X.ALL"), "{list}");
    assert!(list.contains("1 provisional") && list.ends_with("4 series as of position 22\n"), "{list}");
    let one = shell.run(&["series", "--limit", "1"]);
    assert!(one.ends_with("1 series as of position 22; there are more (--limit)\n"), "{one}");

    let then = shell.row(&["series", ANNUAL, "--as-known-at", "2023-07-01"], "2022");
    assert_eq!(then[1..4], ["12301", "PERSONS", "A"]);
    assert!(then.last().unwrap().contains("revised later"), "{then:?}");
    let now = shell.run(&["series", ANNUAL]);
    assert!(now.contains("█▁") && now.contains("12658") && now.contains("924"), "{now}");
    assert!(now.starts_with("GB.HO:SMALL_BOAT_ARRIVALS(1.0) A.AL.SMALL_BOAT\n"), "{now}");
    let provisional = shell.run(&["series", "--dataflow", FLOW, "--provisional"]);
    assert!(provisional.contains("922") && provisional.contains("9874"), "{provisional}");
    assert!(!provisional.contains("12658"), "{provisional}");
    let albanians = shell.run(&["series", "X.ALL", "--dimension", "NATIONALITY=AL"]);
    assert!(albanians.contains("6000") && !albanians.contains("26000"), "{albanians}");
    assert!(albanians.contains("NATIONALITY=AL") && albanians.contains("a bound"), "{albanians}");
    assert!(shell.run(&["series", ANNUAL, "--conflicts"]).starts_with("0 periods"));
    assert!(shell.run(&["series", ANNUAL, "--from", "2023"]).contains("1 period as of"));

    let revised = shell.row(&["series", ANNUAL, "--revisions"], "2022");
    assert_eq!(revised, ["2022", "12301", "12658", "357", "2.902", "1", "2023-03-09"]);
    let triangle = shell.run(&["series", ANNUAL, "--triangle"]);
    let header = triangle.lines().nth(1).unwrap();
    assert!(header.contains("2023-03-09") && header.contains("2024-02-29"), "{triangle}");
    let row = shell.row(&["series", ANNUAL, "--triangle"], "2022");
    assert_eq!(row[..3], ["2022", "12301", "12658"], "{triangle}");

    let lines = shell.run(&["series", ANNUAL, "--json"]);
    let values: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(values.len(), 2);
    assert_eq!(
        (&values[0]["current"]["value"]["value"], &values[0]["versionCount"]),
        (&json!("12658"), &json!(3))
    );
    let histories = shell.run(&["series", ANNUAL, "--triangle", "--json"]);
    let first: Value = serde_json::from_str(histories.lines().next().unwrap()).unwrap();
    assert_eq!(first["percentRevision"]["value"], "2.902");

    let (code, told) = shell.fails(&["series", "--from", "2022"]);
    assert!(code == 64 && told.contains("--values"), "{told}");
    assert_eq!(shell.fails(&["series", "--dimension", "SEX"]).0, 64);
    let (code, told) = shell.fails(&["series", ANNUAL, "--from", "last year"]);
    assert!(code == 65 && told.contains("from"), "{code} {told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn periods_are_compared_and_claims_checked() {
    let shell = Shell { server: Server::start() };
    shell.server.import_article();
    let asked =
        &["compare", "2022", "2023-01-01/2023-11-29", "--series", "X.AL.SMALL_BOAT", "--base-series", ANNUAL];
    let told = shell.run(asked);
    assert!(told.contains("not comparable as asked: the periods have different lengths"), "{told}");
    assert!(told.contains("2022 (365 days): 12658 PERSONS, published\n"), "{told}");
    assert!(told.contains("2023-01-01/2023-11-29 (333 days): 922 PERSONS, published, provisional"), "{told}");
    for (way, change, alike) in
        [("as asked", "-92.716", "no"), ("per day", "-92.016", "no"), ("full period", "-92.700", "yes")]
    {
        let row = shell.row(asked, way);
        assert_eq!((row[6].as_str(), row[7].as_str()), (change, alike), "{told}");
    }
    let years = &["compare", "2022", "2023", "--series", ANNUAL];
    assert!(shell.run(years).contains("\ncomparable as asked\n"));
    let with = |more: &[&'static str]| shell.run(&[&years[..], more].concat());
    let over = with(&["--claim", "-90", "--qualifier", "over"]);
    assert!(over.contains("what is stated holds\n"), "{over}");
    let rounded = with(&["--claim", "-93", "--qualifier", "rounded"]);
    assert!(rounded.contains("what is stated holds in some ways\n"), "{rounded}");
    let wrong = with(&["--claim", "-95"]);
    assert!(wrong.contains("what is stated does not hold\n"), "{wrong}");
    let then = with(&["--base-known-at", "2023-06-01"]);
    assert!(then.contains("-92.488") && !then.contains("-92.700"), "{then}");
    let unknown = shell.run(&["compare", "2019", "2020", "--series", ANNUAL, "--claim", "5"]);
    assert!(
        unknown.contains("2019 (365 days): not known") && unknown.contains("cannot be checked"),
        "{unknown}"
    );
    let json: Value = serde_json::from_str(&with(&["--json", "--measure", "ratio"])).unwrap();
    assert_eq!(json["comparison"]["variants"][0]["computed"]["value"], "0.073");

    let drop = shell.run(&["compare", "--event", "018f9ee2-9300-700d-8061-6e6e616c730d"]);
    assert!(drop.starts_with("statement.claims[0].comparison: 93% drop\n"), "{drop}");
    assert!(drop.contains("the claim holds in some ways\n"), "{drop}");
    let over = "018f9ee2-9300-7006-8061-6e6e616c7306";
    assert!(shell.run(&["compare", "--event", over]).contains("the claim cannot be checked\n"));
    let named = shell.run(&["compare", "--event", over, "--series", ANNUAL]);
    assert!(named.contains("the claim holds\n"), "{named}");
    let checked: Value =
        serde_json::from_str(&shell.run(&["compare", "--event", over, "--series", ANNUAL, "--json"]))
            .unwrap();
    assert_eq!(checked["claims"][0]["verdict"], "HOLDS");

    assert_eq!(shell.fails(&["compare", "2022"]).0, 64);
    assert_eq!(shell.fails(&["compare", "2022", "2023", "--event", over]).0, 64);
    let (code, told) = shell.fails(&["compare", "2022~", "soon", "--series", ANNUAL]);
    assert!(code == 65 && told.contains("period"), "{code} {told}");
    assert_eq!(shell.fails(&["compare", "--event", &id(1)]).0, 66);
}

/// What a server holds may be meant to move the cursor of who reads it.
#[tokio::test(flavor = "multi_thread")]
async fn recorded_text_is_shown_without_control_characters() {
    let shell = Shell { server: Server::start() };
    let observation = json!({
        "period": {"edtf": "2022", "shape": "PERIOD"}, "value": {"value": "1"}, "dimensions": {"SEX": "F"},
    });
    let release = json!({
        "stream": "series/test", "title": "A release", "assertion": "RECORDED", "modality": "ACTUAL",
        "validTime": {"edtf": "2022", "shape": "PERIOD"},
        "statisticalRelease": {
            "dataflow": "XX:FLOW(1.0)", "unit": "PERSONS", "vintage": "first", "observations": [observation],
        },
    });
    append(&mut shell.server.log().await, &[release]).await.unwrap();
    for arguments in [
        &["series"][..],
        &["series", "--values"],
        &["series", "--revisions"],
        &["series", "--triangle"],
        &["compare", "2022", "2022"],
    ] {
        let told = shell.run(arguments);
        assert!(!told.chars().any(|char| char.is_control() && char != '\n'), "{told:?}");
        assert!(told.contains("series/test") || told.contains("1 PERSONS"), "{told}");
    }
}
