//! Requests and the answers they get, as data: `tests/data/*.http`.
//!
//! ```text
//! # why
//! POST /api/v1/query
//! Accept-Encoding: gzip          headers
//! & query=1%2B1&time=4           a form body
//! => 200 application/json
//! {"status":"success",…}         the body as it is
//!                                an empty line ends the case
//! ```
//! `UPDATE_EXPECT=1` writes what is answered now. Every JSON answer is also held against the reference's OpenAPI
//! document, where that is at hand.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::golden::Golden;
use crate::rig::{Answer, Rig, RigOptions};

#[derive(Default)]
struct Case {
    comments: String,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    form: Option<String>,
    want: String,
}

fn parse(text: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for block in text.split("\n\n").map(str::trim).filter(|block| !block.is_empty()) {
        let mut case = Case::default();
        let mut lines = block.lines();
        for line in lines.by_ref() {
            if line.starts_with('#') {
                case.comments.push_str(line);
                case.comments.push('\n');
            } else if line.starts_with("=>") {
                case.want = format!("{line}\n");
                break;
            } else if let Some(form) = line.strip_prefix("& ") {
                case.form = Some(form.to_owned());
            } else if case.method.is_empty() {
                let (method, path) = line.split_once(' ').expect("METHOD PATH");
                (case.method, case.path) = (method.to_owned(), path.to_owned());
            } else {
                let (name, value) = line.split_once(": ").expect("NAME: VALUE");
                case.headers.push((name.to_owned(), value.to_owned()));
            }
        }
        lines.for_each(|line| case.want.push_str(&format!("{line}\n")));
        cases.push(case);
    }
    cases
}

impl Case {
    async fn run(&self, rig: &Rig) -> Answer {
        let mut headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if self.form.is_some() {
            headers.push(("Content-Type", "application/x-www-form-urlencoded"));
        }
        rig.ask(&self.method, &self.path, &headers, self.form.as_deref().unwrap_or_default()).await
    }

    fn show(&self, got: &str) -> String {
        let mut out = format!("{}{} {}\n", self.comments, self.method, self.path);
        for (name, value) in &self.headers {
            writeln!(out, "{name}: {value}").expect("a String takes all");
        }
        if let Some(form) = &self.form {
            writeln!(out, "& {form}").expect("a String takes all");
        }
        out.push_str(got);
        out
    }
}

fn show_answer(answer: &Answer) -> String {
    let mut out = format!("=> {} {}", answer.status.as_u16(), answer.header("content-type"));
    for name in ["content-encoding", "allow", "access-control-allow-origin", "x-prometheus-stopping"] {
        if !answer.header(name).is_empty() {
            write!(out, " {name}={}", answer.header(name)).expect("a String takes all");
        }
    }
    let text = if answer.header("content-encoding").is_empty() { answer.text() } else { "…".to_owned() };
    format!("{}\n{text}", out.trim_end()).trim_end().to_owned() + "\n"
}

#[expect(clippy::disallowed_methods, reason = "tests are told by the environment what to do")]
fn is_update() -> bool {
    std::env::var("UPDATE_EXPECT").is_ok()
}

async fn run_file(rig: &Rig, path: &Path, golden: Option<&Golden>, failures: &mut Vec<String>) -> usize {
    let text = std::fs::read_to_string(path).expect("readable");
    let cases = parse(&text);
    let mut updated = Vec::new();
    for case in &cases {
        let answer = case.run(rig).await;
        let got = show_answer(&answer);
        let place = format!("{}: {} {}", path.display(), case.method, case.path);
        if got != case.want && !is_update() {
            failures.push(format!("{place}\n  want {}\n  got  {got}", case.want.trim_end()));
        }
        if let Some(Err(why)) = golden.map(|golden| golden.check(&case.method, &case.path, &answer)) {
            failures.push(format!("{place}\n  not the reference's shape: {why}\n  {got}"));
        }
        updated.push(case.show(&got));
    }
    if is_update() {
        std::fs::write(path, updated.join("\n")).expect("writable");
    }
    cases.len()
}

#[tokio::test(start_paused = true)]
async fn all_files() {
    let mut files: Vec<PathBuf> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data"))
        .expect("a folder")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "http"))
        .collect();
    files.sort();
    let golden = Golden::load();
    let (mut cases, mut failures) = (0, Vec::new());
    for file in &files {
        let rig = Rig::start(RigOptions::default()).await;
        cases += run_file(&rig, file, golden.as_ref(), &mut failures).await;
    }
    assert!(failures.is_empty(), "{} of {cases} failed:\n{}", failures.len(), failures.join("\n"));
    assert!(cases > 100, "{cases} cases: files are missing");
}
