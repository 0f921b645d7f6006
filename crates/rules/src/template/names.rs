//! Which functions and variables a template names, so that a misspelt one stops the load and not the alert.

use std::collections::HashSet;

use gotmpl::parse::{Expr, ListNode, Node, Parser, PipeNode};

/// Go's own functions.
const BUILT_IN: [&str; 19] = [
    "and", "call", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not", "or", "print",
    "printf", "println", "slice", "urlquery",
];

/// Checks that every function exists and every variable is declared somewhere in the text.
///
/// # Errors
/// A sentence that names the line and the word.
pub(super) fn check(source: &str, is_function: impl Fn(&str) -> bool) -> Result<(), String> {
    let parser = Parser::new(source, "{{", "}}").map_err(|error| error.to_string())?;
    let (root, definitions) = parser.parse().map_err(|error| error.to_string())?;
    let mut names = Names::default();
    names.list(&root);
    definitions.iter().for_each(|definition| names.list(&definition.body));
    for (line, function) in &names.functions {
        if !BUILT_IN.contains(&function.as_str()) && !is_function(function) {
            return Err(format!("line {line}: function {function:?} not defined"));
        }
    }
    for (line, variable) in &names.used {
        if !variable.is_empty() && !names.declared.contains(variable) {
            return Err(format!("line {line}: undefined variable \"${variable}\""));
        }
    }
    Ok(())
}

#[derive(Default)]
struct Names {
    functions: Vec<(usize, String)>,
    declared: HashSet<String>,
    used: Vec<(usize, String)>,
}

impl Names {
    fn list(&mut self, list: &ListNode) {
        list.nodes.iter().for_each(|node| self.node(node));
    }

    fn node(&mut self, node: &Node) {
        match node {
            Node::List(list) => self.list(list),
            Node::Action(action) => self.pipe(&action.pipe),
            Node::If(branch) | Node::Range(branch) | Node::With(branch) => {
                self.pipe(&branch.pipe);
                self.list(&branch.body);
                branch.else_body.iter().for_each(|body| self.list(body));
            }
            Node::Template(template) => template.pipe.iter().for_each(|pipe| self.pipe(pipe)),
            Node::Define(definition) => self.list(&definition.body),
            Node::Text(_) | Node::Break(_) | Node::Continue(_) => {}
        }
    }

    fn pipe(&mut self, pipe: &PipeNode) {
        if !pipe.is_assign {
            self.declared.extend(pipe.decl.iter().map(|name| plain(name)));
        }
        pipe.commands.iter().flat_map(|command| &command.args).for_each(|argument| self.expression(argument));
    }

    fn expression(&mut self, expression: &Expr) {
        match expression {
            Expr::Identifier(position, name) => self.functions.push((position.line, name.to_string())),
            Expr::Variable(position, name, _) => self.used.push((position.line, plain(name))),
            Expr::Pipe(_, pipe) => self.pipe(pipe),
            Expr::Chain(_, inner, _) => self.expression(inner),
            _ => {}
        }
    }
}

fn plain(name: &str) -> String {
    name.trim_start_matches('$').to_owned()
}
