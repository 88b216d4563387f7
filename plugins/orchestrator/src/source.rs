//! Makes a function of what a model wrote. It takes what models really send: thoughts, fences, `export default`, an arrow
//! function, a function with a name, statements with `return` or with an expression at their end.

use std::ops::ControlFlow;

use boa_engine::Source;
use boa_engine::ast::declaration::{Binding, LexicalDeclaration};
use boa_engine::ast::expression::access::{PropertyAccess, PropertyAccessField};
use boa_engine::ast::expression::literal::LiteralKind;
use boa_engine::ast::expression::{Call, Expression};
use boa_engine::ast::scope::Scope;
use boa_engine::ast::visitor::{VisitWith, Visitor};
use boa_engine::ast::{Declaration, Position, Script, Spanned, Statement, StatementListItem};
use boa_engine::interner::{Interner, Sym};
use boa_engine::parser::{Error, Parser};

use crate::{Failure, FailureKind, Tool, tools};

/// A script as it is run.
pub(crate) struct Prepared {
    /// An expression whose value is a function of the input. Its lines are those of the script.
    pub text: String,
}

/// The parser's stack holds 200.
const DEPTH: usize = 150;

/// Scripts are short. The parser reads a megabyte in a second.
const LENGTH: usize = 256 << 10;

/// What stands before a script of statements, on its first line.
const HEAD: &str = "(async function workflow(input) {";

fn wrong(message: impl Into<String>, line: Option<u32>) -> Failure {
    Failure::new(FailureKind::Syntax, message, line)
}

/// Makes a function of a script.
pub(crate) fn prepare(source: &str) -> Result<Prepared, Failure> {
    if source.len() > LENGTH {
        return Err(wrong(format!("the script has {} bytes, and at most {LENGTH} are read", source.len()), None));
    }
    let text = without_export(&code_of(source));
    if text.trim().is_empty() {
        return Err(wrong("there is no script", None));
    }
    check_depth(&text)?;
    // An expression that is a function, such as an arrow.
    let expression = format!("({}\n)", text.trim_end().trim_end_matches(';'));
    if let Ok((script, _)) = parse(&expression)
        && is_function(&script)
    {
        return Ok(Prepared { text: expression });
    }
    let body = format!("{HEAD}{text}\n}})");
    let (script, interner) = parse(&body).map_err(|error| explain(&error, &text))?;
    let statements =
        body_of(&script).ok_or_else(|| wrong("its brackets do not match: one closes what it did not open", None))?;
    let Some(last) = statements.last() else { return Ok(Prepared { text: body }) };
    let added = match last {
        StatementListItem::Statement(statement) => match &**statement {
            Statement::Expression(expression) => Some((expression.span().start(), "return ".to_owned())),
            _ => None,
        },
        StatementListItem::Declaration(declaration) => function_of(declaration, &interner)
            .map(|name| (Position::new(u32::MAX, 1), format!("return {name}(input);"))),
    };
    let Some((at, added)) = added else { return Ok(Prepared { text: body }) };
    let at = match at.line_number() {
        u32::MAX => body.len() - "})".len(),
        _ => offset(&body, at),
    };
    let returning = format!("{}{added}{}", &body[..at], &body[at..]);
    // Wherever that makes something else of it, the script has no value.
    let is_well = parse(&returning).is_ok_and(|(script, _)| {
        body_of(&script).is_some_and(|now| now.len() >= statements.len() && matches!(now.last(), Some(StatementListItem::Statement(last)) if matches!(**last, Statement::Return(_))))
    });
    Ok(Prepared { text: if is_well { returning } else { body } })
}

fn parse(text: &str) -> Result<(Script, Interner), Error> {
    let mut interner = Interner::default();
    let script = Parser::new(Source::from_bytes(text)).parse_script(&Scope::new_global(), &mut interner)?;
    Ok((script, interner))
}

/// Returns the code in what a model sent, with its lines where they were.
fn code_of(source: &str) -> String {
    let mut text = source.to_owned();
    while let Some(start) = text.find("<think>") {
        let end = text[start..].find("</think>").map_or(text.len(), |at| start + at + "</think>".len());
        blank(&mut text, start, end);
    }
    // The first block that can be JavaScript.
    let mut opened: Option<usize> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let (start, word) = (at, line.trim());
        at += line.len();
        let Some(language) = word.strip_prefix("```") else { continue };
        match opened {
            None if ["", "js", "javascript", "mjs", "ts", "typescript", "jsx"].contains(&language.trim()) => {
                opened = Some(at);
            }
            None => {}
            Some(open) => {
                let mut code = text.clone();
                blank(&mut code, start, text.len());
                blank(&mut code, 0, open);
                return code;
            }
        }
    }
    if let Some(open) = opened {
        // Cut off before its end.
        blank(&mut text, 0, open);
    }
    text
}

/// Replaces a part by spaces, and keeps its line breaks.
fn blank(text: &mut String, start: usize, end: usize) {
    let blanks: String = text[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
    text.replace_range(start..end, &blanks);
}

/// Takes `export default`, `export` and `module.exports =` out, wherever a line begins with them.
fn without_export(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        let rest = &line[indent..];
        let word = ["export default ", "export ", "module.exports = ", "module.exports="].into_iter();
        let taken = word.into_iter().find(|word| rest.starts_with(word) && !rest.starts_with("export {"));
        let taken = taken.map_or(0, str::len);
        out.push_str(&line[..indent]);
        out.extend(std::iter::repeat_n(' ', taken));
        out.push_str(&rest[taken..]);
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
        if depth > DEPTH {
            return Err(wrong(format!("brackets are nested more than {DEPTH} deep"), Some(line)));
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
        return wrong("there are no modules to import; what scripts need is built in", line);
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

/// Returns the line of a place in the script, out of a line of the engine's account of where an error was.
pub(crate) fn line_of_frame(frame: &str) -> Option<u32> {
    let place = frame.trim().strip_prefix("at ")?;
    let (_, place) = place.rsplit_once('(')?;
    let mut parts = place.trim_end_matches(')').rsplit(':');
    let (_, line) = (parts.next()?, parts.next()?);
    line.parse().ok()
}

/// Returns the numbers of the tools that a script names, and refuses names that are none.
pub(crate) fn named_tools(prepared: &Prepared, known: &[Tool]) -> Result<Vec<u32>, Failure> {
    let (script, interner) = parse(&prepared.text).map_err(|error| explain(&error, &prepared.text))?;
    let mut names = Names { interner: &interner, found: Vec::new() };
    let _ = names.visit_script(&script);
    let mut numbers = Vec::new();
    for (name, line) in names.found {
        let at = match &name {
            Name::Whole(name) => tools::find(name, known),
            Name::Parts(server, name) => known.iter().position(|tool| tool.server == *server && tool.name == *name),
        };
        let Some(at) = at else {
            let name = match name {
                Name::Whole(name) => name,
                Name::Parts(server, name) => format!("{server}__{name}"),
            };
            let hint = tools::nearest(&name, known).map(|tool| format!(": did you mean `{}`?", tool.whole_name));
            let hint = hint.unwrap_or_default();
            return Err(wrong(format!("`{name}` is none of the tools of this run{hint}"), Some(line)));
        };
        let number = u32::try_from(at).unwrap_or(u32::MAX);
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    Ok(numbers)
}

enum Name {
    /// `tools.NAME`
    Whole(String),
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

    fn visit_property_access(&mut self, access: &'ast PropertyAccess) -> ControlFlow<()> {
        if let PropertyAccess::Simple(simple) = access
            && self.is(simple.target(), "tools")
            && let Some(name) = self.field(simple.field())
        {
            self.found.push((Name::Whole(name), access.span().start().line_number()));
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
