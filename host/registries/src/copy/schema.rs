//! The tables of a copy. One of another version, or a damaged one, is made anew: it is only a copy.

/// The version, which is part of the file's name.
pub(super) const VERSION: u32 = 2;

pub(super) const TABLES: &str = "
-- One row: how far the copy is.
CREATE TABLE state (
    -- The number of the pass that is under way, or was last.
    pass INTEGER NOT NULL,
    -- The cursor of the next page of that pass.
    cursor TEXT,
    -- The newest change that this pass saw, and the time from which the pass asked: milliseconds since 1970.
    newest INTEGER, since INTEGER,
    -- When a pass last came to its end, and when one was last begun: milliseconds since 1970.
    finished INTEGER, begun INTEGER,
    -- Before this time, nothing is asked for: milliseconds since 1970.
    rests_until INTEGER,
    -- Why the last pass did not come to its end.
    problem TEXT);
INSERT INTO state VALUES (0, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

-- `row` is the server as `postcard` writes it; `pass` is the last one that saw it.
CREATE TABLE servers (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, pass INTEGER NOT NULL, row BLOB NOT NULL);

-- Other names of servers.
CREATE TABLE aliases (name TEXT NOT NULL, server INTEGER NOT NULL, PRIMARY KEY (name, server))
    WITHOUT ROWID;
CREATE INDEX alias_server ON aliases (server);

-- Terms are made before, by the room `search`: this tokenizer only parts them at the spaces.
CREATE VIRTUAL TABLE words USING fts5 (
    name, about, content = '', contentless_delete = 1, prefix = '3 4', tokenize = 'ascii');
";
