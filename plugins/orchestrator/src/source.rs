//! Makes a function of what a model wrote: `export default`, an arrow function, a function with a name, statements with
//! `return` or with an expression at their end. The host has taken it out of thoughts and fences.

use std::ops::ControlFlow;

use boa_engine::Source;
use boa_engine::ast::declaration::{Binding, LexicalDeclaration, Variable};
use boa_engine::ast::expression::RegExpLiteral;
use boa_engine::ast::expression::access::{PropertyAccess, PropertyAccessField};
use boa_engine::ast::expression::literal::LiteralKind;
use boa_engine::ast::expression::operator::Unary;
use boa_engine::ast::expression::operator::unary::UnaryOp;
use boa_engine::ast::expression::{Call, Expression, Identifier, TaggedTemplate};
use boa_engine::ast::pattern::{ObjectPattern, ObjectPatternElement, Pattern};
use boa_engine::ast::property::PropertyName;
use boa_engine::ast::scope::Scope;
use boa_engine::ast::visitor::{VisitWith, Visitor};
use boa_engine::ast::{Declaration, Position, Script, Spanned, Statement, StatementListItem};
use boa_engine::interner::{Interner, Sym};
use boa_engine::parser::{Error, Parser};

use crate::types;
use crate::{Failure, FailureKind, Tool, globals, repairs, tools};

/// A script as it is run.
pub(crate) struct PreparedScript {
    /// An expression whose value is a function of the input. Its lines are those of the script.
    pub text: String,
}

/// The parser's stack holds 200.
const MAX_DEPTH: usize = 150;

/// Scripts are short. The parser reads a megabyte in a second.
const MAX_SOURCE_BYTES: usize = 256 << 10;

/// What stands before a script of statements, on its first line.
const WRAPPER_HEADER: &str = "(async function workflow(input) {";

fn wrong(message: impl Into<String>, line: Option<u32>) -> Failure {
    Failure::new(FailureKind::Syntax, message, line)
}

/// Makes a function of a script, and refuses what the engine would get wrong without a word.
pub(crate) fn prepare(source: &str) -> Result<PreparedScript, Failure> {
    let mut prepared = function_of_source(source)?;
    let text = &prepared.text;
    if !text.contains("...") && !text.contains(r"\W") && !text.contains("```") {
        return Ok(prepared);
    }
    let (script, interner) = parse(text).map_err(|error| explain(&error, text))?;
    let mut faults = Faults { interner: &interner, line: 1, patterns: Vec::new() };
    if let ControlFlow::Break((fault, line)) = faults.visit_script(&script) {
        return Err(wrong(fault, Some(line)));
    }
    let mut patterns: Vec<(usize, String, String)> =
        faults.patterns.into_iter().map(|(at, written, exact)| (offset(text, at), written, exact)).collect();
    patterns.sort_unstable();
    for (at, written, exact) in patterns.into_iter().rev() {
        if !prepared.text[at..].starts_with(&written) {
            return Err(wrong(r"this engine takes `k` and `s` for what `[\W]` matches with the flag `i`", None));
        }
        prepared.text.replace_range(at..at + written.len(), &exact);
    }
    Ok(prepared)
}

/// Finds what Boa 0.22 gets wrong: `{ a: { b }, ...rest }` as a pattern, where it leaves `a` in `rest`; and patterns of text
/// that mean something else (see [`repairs::exact_pattern`]). And a fence, which is JavaScript (a template as the tag of
/// another) that fails when it runs.
struct Faults<'a> {
    interner: &'a Interner,
    /// Where the last statement or expression began.
    line: u32,
    /// Where each pattern is, how it is written, and how it is right.
    patterns: Vec<(Position, String, String)>,
}

impl<'ast> Visitor<'ast> for Faults<'_> {
    type BreakTy = (String, u32);

    fn visit_expression(&mut self, expression: &'ast Expression) -> ControlFlow<Self::BreakTy> {
        self.line = expression.span().start().line_number();
        expression.visit_with(self)
    }

    fn visit_reg_exp_literal(&mut self, literal: &'ast RegExpLiteral) -> ControlFlow<Self::BreakTy> {
        let text = |sym: Sym| self.interner.resolve_expect(sym).to_string();
        let (pattern, flags) = (text(literal.pattern()), text(literal.flags()));
        if let Some(exact) = repairs::exact_pattern(&pattern, &flags) {
            let (written, exact) = (format!("/{pattern}/{flags}"), format!("/{exact}/{flags}"));
            self.patterns.push((literal.span().start(), written, exact));
        }
        ControlFlow::Continue(())
    }

    fn visit_variable(&mut self, variable: &'ast Variable) -> ControlFlow<Self::BreakTy> {
        if let Some(init) = variable.init() {
            self.line = init.span().start().line_number();
        }
        variable.visit_with(self)
    }

    fn visit_object_pattern(&mut self, pattern: &'ast ObjectPattern) -> ControlFlow<Self::BreakTy> {
        let nested = pattern.bindings().iter().find_map(|element| match element {
            ObjectPatternElement::Pattern { name, .. } => Some(name),
            _ => None,
        });
        match nested.filter(|_| pattern.has_rest()) {
            None => pattern.visit_with(self),
            Some(name) => {
                let name = match name {
                    PropertyName::Literal(name) => self.interner.resolve_expect(name.sym()).to_string(),
                    PropertyName::Computed(_) => "[…]".to_owned(),
                };
                let fault = format!(
                    "this engine would put `{name}` into the `...` after it as well: take what is in it out in a second step"
                );
                ControlFlow::Break((fault, self.line))
            }
        }
    }

    fn visit_tagged_template(&mut self, template: &'ast TaggedTemplate) -> ControlFlow<Self::BreakTy> {
        match template.tag() {
            Expression::TemplateLiteral(_) => {
                let line = template.span().start().line_number();
                ControlFlow::Break(("a fence (three backticks) is no part of a script: leave it out".to_owned(), line))
            }
            _ => template.visit_with(self),
        }
    }
}

/// Makes a function of a script. It is taken as it is where that makes sense, so that nothing in a string is touched.
fn function_of_source(source: &str) -> Result<PreparedScript, Failure> {
    if source.len() > MAX_SOURCE_BYTES {
        return Err(wrong(
            format!("the script has {} bytes, and at most {MAX_SOURCE_BYTES} are read", source.len()),
            None,
        ));
    }
    check_depth(source)?;
    // That makes sense, too, and fails when it runs.
    let is_module = source.lines().any(|line| line.starts_with("module.exports"));
    let plain = if is_module { None } else { Some(function(source)) };
    if let Some(Ok(prepared)) = plain {
        return Ok(prepared);
    }
    let stripped = without_export(source);
    if stripped.trim().is_empty() {
        return Err(wrong("there is no script", None));
    }
    match function(&stripped) {
        Ok(prepared) => Ok(prepared),
        Err(failure) => {
            if let Some(untyped) = types::strip_types(&stripped, problem) {
                return function(&untyped);
            }
            // What is wrong with it as it was written says more.
            Err(plain.filter(|_| stripped == source).and_then(Result::err).unwrap_or(failure))
        }
    }
}

/// Returns where a script stops to be JavaScript, in bytes.
fn problem(text: &str) -> types::ErrorOffset {
    let body = format!("{WRAPPER_HEADER}{text}\n}})");
    let at = match parse(&body).err()? {
        Error::Expected { span, .. } | Error::Unexpected { span, .. } => span.start(),
        Error::General { position, .. } => position,
        // Nothing can be done about it.
        _ => return Some(text.len()),
    };
    Some(offset(&body, at).saturating_sub(WRAPPER_HEADER.len()).min(text.len()))
}

/// Makes a function of code.
fn function(text: &str) -> Result<PreparedScript, Failure> {
    if text.trim().is_empty() {
        return Err(wrong("there is no script", None));
    }
    // An expression that is a function, such as an arrow.
    let expression = format!("({}\n)", text.trim_end().trim_end_matches(';'));
    if let Ok((script, _)) = parse(&expression)
        && is_function(&script)
    {
        return Ok(PreparedScript { text: expression });
    }
    let body = format!("{WRAPPER_HEADER}{text}\n}})");
    let (script, interner) = parse(&body).map_err(|error| explain(&error, text))?;
    let statements =
        body_of(&script).ok_or_else(|| wrong("its brackets do not match: one closes what it did not open", None))?;
    let ends_with_expression = match statements.last() {
        None => return Err(wrong("there is no script", None)),
        Some(StatementListItem::Statement(last)) => match &**last {
            Statement::Expression(expression) => {
                // A call says where its arguments are.
                let mut first = First(expression.span().start());
                let _ = first.visit_expression(expression);
                Some(first.0)
            }
            _ => None,
        },
        Some(StatementListItem::Declaration(_)) => None,
    };
    if let Some(start) = ends_with_expression {
        // An expression in parentheses begins before what it says.
        let mut at = offset(&body, start);
        while let Some(before) =
            body[..at].trim_end().strip_suffix('(').filter(|before| before.len() >= WRAPPER_HEADER.len())
        {
            at = before.len();
        }
        let returning = format!("{}return {}", &body[..at], &body[at..]);
        return match parse(&returning).is_ok_and(|(script, _)| returns(&script, statements.len())) {
            true => Ok(PreparedScript { text: returning }),
            false => Err(wrong("end the script with `return`, so that it has a result", Some(start.line_number()))),
        };
    }
    let functions: Vec<String> = statements
        .iter()
        .filter_map(|statement| match statement {
            StatementListItem::Declaration(declaration) => function_of(declaration, &interner),
            StatementListItem::Statement(_) => None,
        })
        .collect();
    let declares_only = statements.iter().all(|statement| matches!(statement, StatementListItem::Declaration(_)));
    let named = ["workflow", "main", "run"].into_iter().find(|name| functions.iter().any(|known| known == name));
    let called = match (named, functions.as_slice()) {
        (Some(name), _) if declares_only => name,
        (None, [only]) if declares_only => only,
        (None, [_, _, ..]) if declares_only => {
            return Err(wrong("it declares several functions: call the one to run `workflow`", None));
        }
        _ => return Ok(PreparedScript { text: body }),
    };
    let end = body.len() - "})".len();
    Ok(PreparedScript { text: format!("{}return {called}(input);{}", &body[..end], &body[end..]) })
}

/// The first place of an expression and all that is in it.
struct First(Position);

impl<'ast> Visitor<'ast> for First {
    type BreakTy = ();

    fn visit_expression(&mut self, expression: &'ast Expression) -> ControlFlow<()> {
        self.0 = self.0.min(expression.span().start());
        expression.visit_with(self)
    }
}

/// Whether a script of at least so many statements ends with `return`.
fn returns(script: &Script, least: usize) -> bool {
    let Some(statements) = body_of(script).filter(|statements| statements.len() >= least) else { return false };
    let Some(StatementListItem::Statement(last)) = statements.last() else { return false };
    matches!(**last, Statement::Return(_))
}

fn parse(text: &str) -> Result<(Script, Interner), Error> {
    let mut interner = Interner::default();
    let script = Parser::new(Source::from_bytes(text)).parse_script(&Scope::new_global(), &mut interner)?;
    Ok((script, interner))
}

/// Takes `export default`, `export` and `module.exports =` out, where a line begins with them.
fn without_export(text: &str) -> String {
    // What is exported as an object is an expression, and stays one.
    const KEYWORDS: [(&str, &str); 4] =
        [("export default ", ""), ("export ", ""), ("module.exports = ", "0,"), ("module.exports=", "0,")];
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let word = KEYWORDS.into_iter().find(|(word, _)| line.starts_with(word) && !line.starts_with("export {"));
        let (taken, instead) = word.map_or((0, ""), |(word, instead)| (word.len(), instead));
        out.push_str(instead);
        out.extend(std::iter::repeat_n(' ', taken - instead.len()));
        out.push_str(&line[taken..]);
    }
    out
}

/// Refuses what is nested more deeply than the parser's stack holds. Strings and comments count, too: what is refused
/// wrongly is no script that anybody writes.
fn check_depth(text: &str) -> Result<(), Failure> {
    let (mut depth, mut line) = (0usize, 1);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'\n' => line += 1,
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(wrong(format!("brackets are nested more than {MAX_DEPTH} deep"), Some(line)));
        }
    }
    Ok(())
}

/// Whether a script is one function in parentheses.
fn is_function(script: &Script) -> bool {
    let [StatementListItem::Statement(only)] = script.statements().statements() else { return false };
    let Statement::Expression(Expression::Parenthesized(inner)) = &**only else { return false };
    matches!(
        inner.expression(),
        Expression::ArrowFunction(_)
            | Expression::AsyncArrowFunction(_)
            | Expression::FunctionExpression(_)
            | Expression::AsyncFunctionExpression(_)
    )
}

/// Returns the statements of a script that was made a function.
fn body_of(script: &Script) -> Option<&[StatementListItem]> {
    let [StatementListItem::Statement(only)] = script.statements().statements() else { return None };
    let Statement::Expression(Expression::Parenthesized(inner)) = &**only else { return None };
    let Expression::AsyncFunctionExpression(function) = inner.expression() else { return None };
    Some(function.body().statements())
}

/// Returns the name of a function that is declared, however that is written.
fn function_of(declaration: &Declaration, interner: &Interner) -> Option<String> {
    let name: Sym = match declaration {
        Declaration::FunctionDeclaration(function) => function.name().sym(),
        Declaration::AsyncFunctionDeclaration(function) => function.name().sym(),
        Declaration::Lexical(LexicalDeclaration::Const(list) | LexicalDeclaration::Let(list)) => {
            let [variable] = list.as_ref() else { return None };
            let Binding::Identifier(name) = variable.binding() else { return None };
            let is_function = matches!(
                variable.init()?,
                Expression::ArrowFunction(_)
                    | Expression::AsyncArrowFunction(_)
                    | Expression::FunctionExpression(_)
                    | Expression::AsyncFunctionExpression(_)
            );
            if !is_function {
                return None;
            }
            name.sym()
        }
        _ => return None,
    };
    Some(interner.resolve_expect(name).to_string())
}

/// Returns where a position is in a text, in bytes. Columns are characters.
fn offset(text: &str, at: Position) -> usize {
    let line = usize::try_from(at.line_number()).unwrap_or(1).saturating_sub(1);
    let column = usize::try_from(at.column_number()).unwrap_or(1).saturating_sub(1);
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = &text[start..];
    start + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at)
}

/// Says why a script does not parse.
fn explain(error: &Error, text: &str) -> Failure {
    let said = error.to_string();
    let line = match error {
        Error::Expected { span, .. } | Error::Unexpected { span, .. } => Some(span.start().line_number()),
        Error::General { position, .. } => Some(position.line_number()),
        Error::AbruptEnd => None,
        _ => line_in(&said),
    };
    let line = line.map(|line| line.min(u32::try_from(text.lines().count()).unwrap_or(u32::MAX)));
    let said = said.split(" at line ").next().unwrap_or(&said);
    let said = said.split(", line ").next().unwrap_or(said);
    if looks_typed(text) {
        return wrong(format!("this is TypeScript: leave out its types, and write plain JavaScript ({said})"), line);
    }
    if text.lines().any(|line| line.trim_start().starts_with("import ")) {
        return wrong(format!("there is nothing to import: {}", globals::MODULES_HINT), line);
    }
    wrong(said, line)
}

/// Returns the number after `line `.
fn line_in(said: &str) -> Option<u32> {
    let rest = said.split("line ").nth(1)?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Whether a text has the marks of TypeScript.
fn looks_typed(text: &str) -> bool {
    let types = ["string", "number", "boolean", "any", "unknown", "void", "Record<", "Array<", "Promise<", "object"];
    let is_annotated =
        types.iter().any(|name| text.contains(&format!(": {name}")) || text.contains(&format!(" as {name}")));
    is_annotated
        || text.lines().any(|line| {
            let line = line.trim_start();
            line.starts_with("interface ") || line.starts_with("type ") && line.contains('=')
        })
}

/// What the engine calls a script in its account of where an error was. Nothing else that it runs has a path.
pub(crate) const SCRIPT_PATH: &str = "script";

/// Returns the innermost place in the script, out of the engine's account of an error: its text, and a line for each function
/// that was under way, innermost first.
pub(crate) fn parse_position(account: &str) -> Option<Position> {
    // The text of the error may have lines of that form, too: those of the account come last.
    let frames = account.lines().rev().take_while(|line| line.starts_with("    at "));
    frames.filter_map(place_of_frame).last()
}

fn place_of_frame(frame: &str) -> Option<Position> {
    let (_, place) = frame.rsplit_once('(')?;
    let place = place.strip_suffix(')')?.strip_prefix(SCRIPT_PATH)?.strip_prefix(':')?;
    let (line, column) = place.split_once(':')?;
    let number = |text: &str| text.parse().ok().filter(|number: &u32| *number > 0);
    Some(Position::new(number(line)?, number(column)?))
}

/// Returns the line of an error. The engine knows where calls, accesses and `throw` are; of a name that is not there, only what
/// it knew before: the first place from there that names it is where it was.
pub(crate) fn source_line(message: &str, place: Position, prepared: &PreparedScript) -> u32 {
    let named = message.strip_prefix("ReferenceError: ").and_then(|said| said.strip_suffix(" is not defined"));
    let reference = named.and_then(|name| {
        let (script, interner) = parse(&prepared.text).ok()?;
        let mut references = References { interner: &interner, name, from: place, first: None };
        let _ = references.visit_script(&script);
        references.first
    });
    reference.unwrap_or(place).line_number()
}

/// The first place from another one where a name is read.
struct References<'a> {
    interner: &'a Interner,
    name: &'a str,
    from: Position,
    first: Option<Position>,
}

impl<'ast> Visitor<'ast> for References<'_> {
    type BreakTy = ();

    fn visit_identifier(&mut self, identifier: &'ast Identifier) -> ControlFlow<()> {
        let at = identifier.span().start();
        let is_named = || self.interner.resolve_expect(identifier.sym()).to_string() == self.name;
        if at >= self.from && self.first.is_none_or(|first| at < first) && is_named() {
            self.first = Some(at);
        }
        ControlFlow::Continue(())
    }

    fn visit_unary(&mut self, unary: &'ast Unary) -> ControlFlow<()> {
        // `typeof NAME` is no error.
        match (unary.op(), unary.target()) {
            (UnaryOp::TypeOf, Expression::Identifier(_)) => ControlFlow::Continue(()),
            _ => unary.visit_with(self),
        }
    }
}

/// Returns the numbers of the tools that a script names, and refuses names that are none.
pub(crate) fn referenced_tools(prepared: &PreparedScript, known: &[Tool]) -> Result<Vec<u32>, Failure> {
    let (script, interner) = parse(&prepared.text).map_err(|error| explain(&error, &prepared.text))?;
    if is_bound(&prepared.text) {
        // Whatever these names mean there, they are not ours.
        return Ok(Vec::new());
    }
    let mut names = Names { interner: &interner, found: Vec::new() };
    let _ = names.visit_script(&script);
    let mut numbers = Vec::new();
    for (name, line) in names.found {
        let at = match &name {
            Name::Qualified(name) => tools::find(name, known),
            Name::Parts(server, name) => known.iter().position(|tool| tool.server == *server && tool.name == *name),
        };
        let Some(at) = at else {
            let name = match name {
                Name::Qualified(name) => name,
                Name::Parts(server, name) => format!("{server}__{name}"),
            };
            let hint = tools::nearest(&name, known).map(|tool| format!(": did you mean `{}`?", tool.whole_name));
            let hint = hint.unwrap_or_default();
            let message = format!("`{name}` is none of the tools of this run{hint}");
            return Err(Failure::new(FailureKind::UnknownTool, message, Some(line)));
        };
        let number = u32::try_from(at).unwrap_or(u32::MAX);
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    Ok(numbers)
}

/// Whether a script gives `tools` or `mcp` a meaning of its own.
fn is_bound(text: &str) -> bool {
    let words: Vec<&str> =
        text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '$').filter(|w| !w.is_empty()).collect();
    let declares = words.windows(2).any(|pair| {
        ["const", "let", "var", "function", "class"].contains(&pair[0]) && ["tools", "mcp"].contains(&pair[1])
    });
    declares || ["(tools)", "(mcp)", "(tools,", "(mcp,", "tools =>", "mcp =>"].iter().any(|form| text.contains(form))
}

enum Name {
    /// `tools.NAME`
    Qualified(String),
    /// `mcp.call("SERVER", "NAME")`
    Parts(String, String),
}

struct Names<'a> {
    interner: &'a Interner,
    found: Vec<(Name, u32)>,
}

impl Names<'_> {
    fn text(&self, sym: Sym) -> String {
        self.interner.resolve_expect(sym).to_string()
    }

    fn is(&self, expression: &Expression, name: &str) -> bool {
        matches!(expression, Expression::Identifier(found) if self.text(found.sym()) == name)
    }

    fn literal(&self, expression: &Expression) -> Option<String> {
        let Expression::Literal(literal) = expression else { return None };
        match literal.kind() {
            LiteralKind::String(sym) => Some(self.text(*sym)),
            _ => None,
        }
    }

    /// Returns the name that is looked up in something, where it is written there.
    fn field(&self, field: &PropertyAccessField) -> Option<String> {
        match field {
            PropertyAccessField::Const(name) => Some(self.text(name.sym())),
            PropertyAccessField::Expr(expression) => self.literal(expression),
        }
    }
}

impl<'ast> Visitor<'ast> for Names<'_> {
    type BreakTy = ();

    fn visit_variable(&mut self, variable: &'ast Variable) -> ControlFlow<()> {
        // `const { NAME } = tools`
        if let Binding::Pattern(Pattern::Object(pattern)) = variable.binding()
            && let Some(init) = variable.init().filter(|init| self.is(init, "tools"))
        {
            for element in pattern.bindings() {
                if let ObjectPatternElement::SingleName { name: PropertyName::Literal(name), .. } = element {
                    self.found.push((Name::Qualified(self.text(name.sym())), init.span().start().line_number()));
                }
            }
        }
        variable.visit_with(self)
    }

    fn visit_property_access(&mut self, access: &'ast PropertyAccess) -> ControlFlow<()> {
        if let PropertyAccess::Simple(simple) = access
            && self.is(simple.target(), "tools")
            && let Some(name) = self.field(simple.field())
        {
            self.found.push((Name::Qualified(name), access.span().start().line_number()));
        }
        access.visit_with(self)
    }

    fn visit_call(&mut self, call: &'ast Call) -> ControlFlow<()> {
        if let Expression::PropertyAccess(PropertyAccess::Simple(simple)) = call.function()
            && self.is(simple.target(), "mcp")
            && self.field(simple.field()).is_some_and(|name| name == "call")
            && let [server, name, ..] = call.args()
            && let (Some(server), Some(name)) = (self.literal(server), self.literal(name))
        {
            self.found.push((Name::Parts(server, name), call.span().start().line_number()));
        }
        call.visit_with(self)
    }
}
