//! What is legal in a rule file and probably a mistake.

use std::collections::HashMap;

use crate::config::{RuleConfig, RuleFile, RuleKind};

impl RuleFile {
    /// Rules of the file that give the same series or alert as one before them, each as a sentence. They overwrite
    /// each other's results.
    pub fn duplicates(&self) -> Vec<String> {
        let mut seen: HashMap<String, &str> = HashMap::new();
        let mut found = Vec::new();
        for group in &self.groups {
            for rule in &group.rules {
                let identity = identity(rule);
                match seen.get(&identity) {
                    Some(first) => found.push(format!(
                        "duplicate rule {identity} in group {:?}, first in group {first:?}",
                        group.name
                    )),
                    None => {
                        seen.insert(identity, &group.name);
                    }
                }
            }
        }
        found
    }

    /// Number of rules.
    pub fn rule_count(&self) -> usize {
        self.groups.iter().map(|group| group.rules.len()).sum()
    }
}

/// Name and labels as written.
fn identity(rule: &RuleConfig) -> String {
    let labels: Vec<String> = match &rule.kind {
        RuleKind::Recording { labels } => {
            labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect()
        }
        RuleKind::Alerting { labels, .. } => {
            labels.iter().map(|(name, value)| format!("{name}={:?}", value.text())).collect()
        }
    };
    format!("{}{{{}}}", rule.name, labels.join(", "))
}

#[cfg(test)]
mod tests {
    use crate::RuleFile;

    #[test]
    fn same_name_and_labels_are_said_once_each() {
        let text = "groups:\n- name: a\n  labels: {zone: x}\n  rules:\n  - {record: r, expr: 1}\n  - {record: r, expr: 2, labels: {k: v}}\n\
                    - name: b\n  rules:\n  - {record: r, expr: 3, labels: {zone: x}}\n  - {record: r, expr: 4}\n";
        let file = RuleFile::parse(text, "r.yml").expect("valid");
        assert_eq!(file.rule_count(), 4);
        assert_eq!(file.duplicates(), ["duplicate rule r{zone=\"x\"} in group \"b\", first in group \"a\""]);
    }
}
