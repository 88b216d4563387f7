//! What sessions are made of.

/// Ways to say the same. The last one is only in questions.
pub struct Concept {
    pub words: &'static [&'static str],
}

const fn c(words: &'static [&'static str]) -> Concept {
    Concept { words }
}

/// Subjects, problems, causes and remedies, by language.
pub static CONCEPTS: [[&[Concept]; 4]; 4] = [
    [&SUBJECTS, &PROBLEMS, &CAUSES, &REMEDIES],
    [&SUBJECTS_DE, &PROBLEMS_DE, &CAUSES_DE, &REMEDIES_DE],
    [&SUBJECTS_ZH, &PROBLEMS_ZH, &CAUSES_ZH, &REMEDIES_ZH],
    [&SUBJECTS_JA, &PROBLEMS_JA, &CAUSES_JA, &REMEDIES_JA],
];

static SUBJECTS: [Concept; 24] = [
    c(&["login form", "sign-in page", "login screen", "place where users authenticate"]),
    c(&["invoice export", "invoice download", "exporting invoices", "getting bills out as files"]),
    c(&["image uploader", "photo upload", "uploading pictures", "sending images to the server"]),
    c(&["search index", "full-text index", "the indexer", "lookup of documents"]),
    c(&["nightly backup", "backup job", "the backup at night", "saving copies of the database"]),
    c(&["email queue", "mail worker", "outgoing mail", "delivery of messages"]),
    c(&["checkout page", "the checkout", "payment step", "buying things"]),
    c(&["TLS handshake", "TLS negotiation", "the handshake", "establishing a secure connection"]),
    c(&["database migration", "schema migration", "the migration", "changing tables in production"]),
    c(&["mobile layout", "layout on phones", "small screens", "how it looks on a handset"]),
    c(&["rate limiter", "request throttle", "throttling", "slowing down greedy clients"]),
    c(&["session cache", "the cache of sessions", "session storage", "remembering logged-in people"]),
    c(&["PDF renderer", "PDF output", "rendering PDFs", "printable documents"]),
    c(&["websocket gateway", "the websocket", "live updates", "pushing events to browsers"]),
    c(&["CSV importer", "CSV import", "importing spreadsheets", "reading tables that customers send"]),
    c(&["docker image", "container image", "the container", "packaging for deployment"]),
    c(&["CI pipeline", "the build pipeline", "CI jobs", "automatic checks on each commit"]),
    c(&["password reset", "reset mail", "resetting passwords", "recovering an account"]),
    c(&["calendar sync", "syncing calendars", "calendar feed", "appointments from other programs"]),
    c(&["currency conversion", "exchange rates", "converting prices", "amounts in other money"]),
    c(&["audit log", "audit trail", "the log of changes", "who did what and when"]),
    c(&["feature flags", "flag service", "toggles", "switching functions on for some"]),
    c(&["map view", "the map", "map tiles", "showing places geographically"]),
    c(&["thumbnail generator", "thumbnails", "preview images", "small versions of pictures"]),
];

static PROBLEMS: [Concept; 16] = [
    c(&["hangs forever", "never finishes", "is stuck", "waits without end"]),
    c(&["crashes on start", "dies at startup", "aborts while starting", "falls over when launched"]),
    c(&["is very slow", "takes ages", "got slow", "has poor performance"]),
    c(&["shows stale data", "returns old values", "serves outdated content", "is not up to date"]),
    c(&["loses records", "drops rows", "misses entries", "forgets some of the data"]),
    c(&["returns an empty page", "is blank", "renders nothing", "displays no content"]),
    c(&["leaks memory", "eats memory", "grows in RAM", "consumes more and more memory"]),
    c(&["sends duplicates", "does it twice", "repeats itself", "happens more than once"]),
    c(&[
        "fails only on Windows",
        "breaks on Windows",
        "is broken under Windows",
        "does not work with Microsoft's system",
    ]),
    c(&["is flaky", "fails now and then", "fails sometimes", "is not reliable"]),
    c(&["shows wrong totals", "sums up wrong", "computes wrong sums", "calculates incorrectly"]),
    c(&["garbles umlauts", "breaks accents", "mangles special characters", "damages non-English letters"]),
    c(&[
        "refuses valid input",
        "rejects good input",
        "does not accept correct values",
        "complains about right entries",
    ]),
    c(&[
        "ignores the setting",
        "does not respect the config",
        "disregards the option",
        "takes no notice of preferences",
    ]),
    c(&["uses the wrong time zone", "is off by one hour", "has shifted times", "gets the clock wrong"]),
    c(&["fills the disk", "uses up disk space", "writes huge files", "leaves no room on the drive"]),
];

static CAUSES: [Concept; 20] = [
    c(&[
        "the connection pool is exhausted",
        "all pooled connections are taken",
        "no connection was left in the pool",
        "too many clients held on to the database",
    ]),
    c(&[
        "a lock is held across an await",
        "the mutex is kept while waiting",
        "the guard lives too long",
        "a deadlock between tasks",
    ]),
    c(&[
        "the certificate chain lacks the intermediate",
        "an intermediate certificate is missing",
        "the chain is incomplete",
        "trust could not be verified",
    ]),
    c(&[
        "the cache key lacks the tenant",
        "tenants share a cache key",
        "the key leaves out the tenant",
        "customers see each other's cached answers",
    ]),
    c(&[
        "retries have no backoff",
        "it retries without pause",
        "the retry loop spins",
        "failed attempts are repeated too eagerly",
    ]),
    c(&[
        "the offset is counted twice",
        "pagination skips a page",
        "the page offset is wrong",
        "part of the list is jumped over",
    ]),
    c(&[
        "dates are parsed as local time",
        "timestamps are read without zone",
        "the zone is dropped while parsing",
        "UTC and local hours are mixed up",
    ]),
    c(&[
        "floats are used for money",
        "amounts are kept as doubles",
        "prices are floating point",
        "rounding of decimal amounts",
    ]),
    c(&[
        "the file is opened without an encoding",
        "the reader assumes latin-1",
        "the text is decoded wrongly",
        "a charset mistake",
    ]),
    c(&[
        "paths are joined with a slash",
        "path separators are hard-coded",
        "backslashes are not handled",
        "directories are written differently there",
    ]),
    c(&["the listener is never removed", "handlers pile up", "event listeners are kept", "subscriptions accumulate"]),
    c(&[
        "an index on the foreign key is missing",
        "the query scans the whole table",
        "there is no index for the join",
        "lookups go through all rows",
    ]),
    c(&[
        "the environment variable is read at build time",
        "configuration is baked into the build",
        "the variable is inlined by the bundler",
        "values are fixed before deployment",
    ]),
    c(&[
        "the transaction is not committed",
        "a commit is missing",
        "the transaction rolls back silently",
        "changes were undone at the end",
    ]),
    c(&[
        "the regex backtracks",
        "the pattern is exponential",
        "catastrophic backtracking in the regex",
        "matching takes exponential time",
    ]),
    c(&[
        "old log files are never rotated",
        "rotation is off",
        "logs are kept forever",
        "nothing deletes what was logged",
    ]),
    c(&[
        "the message is acknowledged too late",
        "ack comes after the timeout",
        "the consumer acks late",
        "work is handed out again before it is confirmed",
    ]),
    c(&[
        "the feature was compiled out",
        "the cargo feature is disabled",
        "a default feature is off",
        "a part was left out of the build",
    ]),
    c(&[
        "two versions of the library are linked",
        "the dependency is duplicated",
        "the lock file has two versions",
        "conflicting packages",
    ]),
    c(&[
        "the token expires during the upload",
        "the access token is too short-lived",
        "the token times out",
        "credentials run out halfway",
    ]),
];

static REMEDIES: [Concept; 20] = [
    c(&[
        "raised the pool size and added a timeout",
        "made the pool larger with a timeout",
        "gave the pool more connections",
        "allowed for more simultaneous database users",
    ]),
    c(&[
        "dropped the guard before the await",
        "released the mutex first",
        "moved the lock into a block",
        "let go of it before waiting",
    ]),
    c(&[
        "bundled the intermediate certificate",
        "shipped the full chain",
        "added the missing certificate",
        "completed the trust chain",
    ]),
    c(&[
        "put the tenant into the key",
        "prefixed the key with the tenant",
        "keyed the cache by tenant",
        "separated customers in memory",
    ]),
    c(&[
        "added exponential backoff with jitter",
        "back off between retries",
        "slowed the retries down",
        "wait longer after each failure",
    ]),
    c(&[
        "switched to keyset pagination",
        "paginate by the last id",
        "replaced offsets by cursors",
        "continue listing after the last element",
    ]),
    c(&[
        "store everything in UTC",
        "convert to UTC when reading",
        "parse with an explicit zone",
        "one universal time everywhere",
    ]),
    c(&["moved money to integers of cents", "use a decimal type", "count in cents", "avoid fractions for prices"]),
    c(&[
        "open the file as UTF-8",
        "set the encoding to UTF-8",
        "decode as UTF-8 with a fallback",
        "declare Unicode explicitly",
    ]),
    c(&[
        "use the path library",
        "join paths with the platform's separator",
        "normalise the separators",
        "portable directories",
    ]),
    c(&[
        "unsubscribe on unmount",
        "remove the listener in the cleanup",
        "clean the handlers up",
        "stop listening when it is gone",
    ]),
    c(&["created an index concurrently", "added the missing index", "put an index on the column", "sped the join up"]),
    c(&[
        "read the variable at runtime",
        "inject the configuration on start",
        "load the settings at startup",
        "configure it without building again",
    ]),
    c(&[
        "commit explicitly at the end",
        "wrapped it in one transaction",
        "added the commit",
        "make the changes permanent",
    ]),
    c(&[
        "rewrote the pattern without nesting",
        "replaced the regex by a parser",
        "simplified the regex",
        "matching in linear time",
    ]),
    c(&["rotate logs daily", "keep seven log files", "turned log rotation on", "delete old logging output"]),
    c(&[
        "acknowledge before the work",
        "made the handler idempotent",
        "extended the visibility timeout",
        "harmless if it is repeated",
    ]),
    c(&[
        "enabled the feature in the manifest",
        "turned the cargo feature on",
        "added it to the default features",
        "include the part when compiling",
    ]),
    c(&[
        "pinned one version",
        "deduplicated the dependency",
        "unified the versions in the lock file",
        "get rid of the conflicting package",
    ]),
    c(&[
        "refresh the token before each part",
        "renew the token in time",
        "asked for a longer-lived token",
        "get new credentials on the way",
    ]),
];

static SUBJECTS_DE: [Concept; 8] = [
    c(&["Anmeldeseite", "Login-Maske", "Anmeldung", "Stelle, an der man sich einloggt"]),
    c(&["Rechnungsexport", "Export der Rechnungen", "Ausgabe von Rechnungen", "Belege als Datei herunterladen"]),
    c(&["Bestellübersicht", "Liste der Bestellungen", "Übersicht der Aufträge", "Seite mit allen Käufen"]),
    c(&["Datensicherung", "nächtliches Backup", "Sicherung", "Kopien der Datenbank"]),
    c(&["Kundensuche", "Suche nach Kunden", "Suchfeld für Kunden", "Kundschaft finden"]),
    c(&["Mahnlauf", "Versand der Mahnungen", "Mahnwesen", "Zahlungserinnerungen"]),
    c(&["Lagerbestand", "Bestandsführung", "Lagerverwaltung", "was noch im Regal liegt"]),
    c(&["Etikettendruck", "Druck der Etiketten", "Versandetiketten", "Aufkleber für Pakete"]),
];
static PROBLEMS_DE: [Concept; 6] = [
    c(&["hängt sich auf", "bleibt stehen", "reagiert nicht mehr", "kommt nie zum Ende"]),
    c(&["zeigt falsche Summen", "rechnet falsch", "liefert falsche Beträge", "addiert nicht richtig"]),
    c(&["ist sehr langsam", "dauert ewig", "braucht zu lange", "hat schlechte Leistung"]),
    c(&["verliert Umlaute", "zerstört Umlaute", "zeigt kaputte Sonderzeichen", "stellt Buchstaben falsch dar"]),
    c(&["stürzt beim Start ab", "bricht beim Start ab", "startet nicht", "fällt sofort um"]),
    c(&["verschickt doppelt", "sendet zweimal", "erzeugt Duplikate", "macht es mehrfach"]),
];
static CAUSES_DE: [Concept; 7] = [
    c(&[
        "die Sperre wird nie freigegeben",
        "die Transaktion hält eine Sperre",
        "ein Lock bleibt offen",
        "zwei Vorgänge warten aufeinander",
    ]),
    c(&[
        "Beträge werden als Gleitkommazahlen gespeichert",
        "es wird mit Fließkomma gerechnet",
        "die Rundung erfolgt zu früh",
        "ungenaue Kommazahlen",
    ]),
    c(&[
        "der Index auf der Kundennummer fehlt",
        "die Abfrage durchsucht die ganze Tabelle",
        "es fehlt ein Index",
        "alle Zeilen werden gelesen",
    ]),
    c(&[
        "die Datei wird als Latin-1 gelesen",
        "die Kodierung stimmt nicht",
        "der Zeichensatz ist falsch",
        "Text wird verkehrt dekodiert",
    ]),
    c(&[
        "die Konfiguration wird vor dem Setzen gelesen",
        "eine Umgebungsvariable fehlt",
        "die Einstellungen sind leer",
        "Werte sind noch nicht gesetzt",
    ]),
    c(&[
        "die Bestätigung kommt nach der Zeitgrenze",
        "die Nachricht wird erneut zugestellt",
        "der Auftrag läuft doppelt an",
        "Arbeit wird noch einmal vergeben",
    ]),
    c(&[
        "das Zertifikat ist abgelaufen",
        "die Zertifikatskette ist unvollständig",
        "das Zwischenzertifikat fehlt",
        "dem Server wird nicht vertraut",
    ]),
];
static REMEDIES_DE: [Concept; 6] = [
    c(&[
        "die Sperre nach dem Lesen freigegeben",
        "die Transaktion verkürzt",
        "das Lock früher gelöst",
        "nicht mehr aufeinander warten",
    ]),
    c(&[
        "auf ganze Cent umgestellt",
        "einen Dezimaltyp verwendet",
        "Beträge als Ganzzahl gespeichert",
        "ohne Kommazahlen rechnen",
    ]),
    c(&["einen Index angelegt", "den fehlenden Index ergänzt", "die Spalte indiziert", "die Abfrage beschleunigt"]),
    c(&[
        "die Datei als UTF-8 geöffnet",
        "die Kodierung auf UTF-8 gesetzt",
        "den Zeichensatz angegeben",
        "Unicode überall",
    ]),
    c(&[
        "die Variable beim Start geprüft",
        "Einstellungen später geladen",
        "Standardwerte ergänzt",
        "Konfiguration zur Laufzeit",
    ]),
    c(&[
        "den Vorgang idempotent gemacht",
        "vorher bestätigt",
        "doppelte Nachrichten verworfen",
        "Wiederholung schadet nicht mehr",
    ]),
];

static SUBJECTS_ZH: [Concept; 7] = [
    c(&["登录页面", "登录界面", "用户登录", "账号进入的地方"]),
    c(&["订单列表", "订单页面", "订单查询", "购买记录"]),
    c(&["支付接口", "支付网关", "付款流程", "结账功能"]),
    c(&["图片上传", "上传图片", "照片上传", "发送相片"]),
    c(&["搜索功能", "全文搜索", "搜索引擎", "查找内容"]),
    c(&["短信验证码", "验证码短信", "手机验证", "手机收到的数字"]),
    c(&["数据备份", "备份任务", "夜间备份", "保存副本"]),
];
static PROBLEMS_ZH: [Concept; 5] = [
    c(&["一直卡住", "没有响应", "无法完成", "停在那里不动"]),
    c(&["非常慢", "速度很慢", "加载太久", "性能不好"]),
    c(&["显示乱码", "中文乱码", "字符错误", "文字看不懂"]),
    c(&["启动时崩溃", "启动失败", "一运行就退出", "打不开"]),
    c(&["重复发送", "发送两次", "出现重复", "多了一份"]),
];
static CAUSES_ZH: [Concept; 6] = [
    c(&["连接池已经耗尽", "数据库连接用完了", "连接没有释放", "占用太多数据库资源"]),
    c(&["缓存没有过期", "缓存键缺少租户", "旧缓存没有清除", "读到了以前的数据"]),
    c(&["编码不是UTF-8", "文件编码错误", "编码设置不对", "字符集问题"]),
    c(&["缺少数据库索引", "查询扫描全表", "没有建立索引", "逐行查找"]),
    c(&["环境变量没有设置", "配置文件缺失", "读取配置失败", "没有正确的设定"]),
    c(&["消息确认超时", "确认消息太晚", "消费者重复消费", "任务被再次分配"]),
];
static REMEDIES_ZH: [Concept; 5] = [
    c(&["增大连接池并设置超时", "释放数据库连接", "调整连接池大小", "允许更多连接"]),
    c(&["给缓存设置过期时间", "在缓存键中加入租户", "清除旧缓存", "不再读旧数据"]),
    c(&["统一使用UTF-8编码", "改成UTF-8读取", "指定文件编码", "正确的字符集"]),
    c(&["添加了数据库索引", "创建索引", "为字段建立索引", "加快查询"]),
    c(&["启动时检查环境变量", "补充默认配置", "运行时加载配置", "完善设定"]),
];

static SUBJECTS_JA: [Concept; 6] = [
    c(&["ログイン画面", "ログインページ", "ログイン処理", "利用者の認証"]),
    c(&["予約一覧", "予約リスト", "予約の検索", "申し込みの表"]),
    c(&["決済処理", "支払い画面", "決済ページ", "お金を払うところ"]),
    c(&["画像アップロード", "写真のアップロード", "画像の送信", "絵を送る機能"]),
    c(&["メール配信", "メール送信", "配信キュー", "お知らせを届ける"]),
    c(&["請求書の出力", "請求書PDF", "請求書エクスポート", "書類を書き出す"]),
];
static PROBLEMS_JA: [Concept; 5] = [
    c(&["応答しない", "固まってしまう", "終わらない", "動かなくなる"]),
    c(&["とても遅い", "時間がかかりすぎる", "表示が遅い", "性能が悪い"]),
    c(&["文字化けする", "日本語が化ける", "文字が壊れる", "読めない文字になる"]),
    c(&["起動時に落ちる", "起動に失敗する", "すぐに終了する", "立ち上がらない"]),
    c(&["二重に送信される", "重複して届く", "二回実行される", "何度も起こる"]),
];
static CAUSES_JA: [Concept; 5] = [
    c(&["接続プールが枯渇していた", "接続が解放されていない", "プールの上限に達した", "データベースを使い切った"]),
    c(&["タイムゾーンの変換が抜けていた", "ローカル時刻で解析していた", "時差を考慮していない", "時計のずれ"]),
    c(&["文字コードがShift_JISだった", "エンコーディングの指定がない", "文字コードが違う", "符号化の間違い"]),
    c(&["インデックスがなかった", "全件走査になっていた", "索引が張られていない", "全部の行を読む"]),
    c(&["確認応答が遅すぎた", "再試行が多すぎる", "待たずに再送していた", "繰り返しが早すぎる"]),
];
static REMEDIES_JA: [Concept; 5] = [
    c(&["プールの上限を増やした", "接続を必ず閉じるようにした", "タイムアウトを設定した", "もっと多く繋げるように"]),
    c(&["UTCで保存するようにした", "時刻をUTCに統一した", "タイムゾーンを明示した", "世界時に揃える"]),
    c(&["UTF-8に統一した", "文字コードを指定した", "UTF-8で読み込むようにした", "正しい符号"]),
    c(&["インデックスを追加した", "索引を作成した", "複合インデックスを張った", "検索を速くする"]),
    c(&["指数バックオフを入れた", "処理を冪等にした", "再送の間隔を延ばした", "繰り返しても問題ない"]),
];

/// Sentences: {s} subject, {x} another part, {f} function, {p} file, {n} person.
pub struct Language {
    pub asks: &'static [&'static str],
    pub looks: &'static [&'static str],
    pub explains: &'static [&'static str],
    pub solves: &'static [&'static str],
    pub reviews: &'static [&'static str],
    pub why: &'static [&'static str],
    pub how: &'static [&'static str],
    pub who: &'static [&'static str],
}

pub static LANGUAGES: [Language; 4] = [
    Language {
        asks: &[
            "The {s} {x}. Can you find out why?",
            "Since yesterday the {s} {x}, please have a look at {p}",
            "Customers say that the {s} {x}. It started after the last release.",
        ],
        looks: &[
            "I'll look at how the {s} works, starting with {p}.",
            "Let me read {p} first and see what {f} does.",
            "I'll reproduce it: the {s} {x}.",
        ],
        explains: &[
            "I found it. In `{f}` {x}. That is why the {s} behaves like this; the tests don't cover it.",
            "The reason is that {x}: see `{f}` in {p}. Under load the {s} runs into it at once.",
            "So {x}. `{f}` is called for each request of the {s}, so it shows up only in production.",
        ],
        solves: &[
            "Done. I {x}, in `{f}`. The {s} works again and I added a test for it.",
            "I changed `{f}` in {p}: {x}. All tests of the {s} pass.",
            "Fixed: {x}. `{f}` got a comment that says why, and the {s} has a regression test.",
        ],
        reviews: &[
            "Good. {n} will review the change to the {s} tomorrow.",
            "Please write a summary for {n}, who owns the {s}.",
            "{n} asked for the {s} to be released on Friday, so let's merge it.",
        ],
        why: &[
            "why was it that the {s} {x}",
            "{s}: {y}",
            "what was the reason when the {s} {x}, something like {y}",
            "the time when {y} at the {s}",
        ],
        how: &[
            "how did we repair the {s} so that we {y}",
            "what did we do about the {s}: {y}",
            "{y} for the {s}",
            "solution when the {s} {x}: {y}",
        ],
        who: &["what did {n} want with the {s}", "{n} {s}", "session where {n} was to look at the {s}"],
    },
    Language {
        asks: &[
            "Hier gibt es ein Problem: {s} {x}. Kannst du nachsehen?",
            "{s} {x} seit dem letzten Release, bitte schau in {p} nach.",
        ],
        looks: &["Ich sehe mir zuerst {p} an.", "Ich prüfe, was {f} macht, und ob {s} {x}."],
        explains: &[
            "Gefunden: {x}. Das passiert in `{f}` und betrifft {s}.",
            "Die Ursache in `{f}`: {x}. Deshalb fällt es bei {s} nur unter Last auf.",
        ],
        solves: &[
            "Erledigt. Ich habe in `{f}` {x}. {s} läuft wieder.",
            "Behoben: {x}, siehe {p}. Für {s} gibt es jetzt einen Test.",
        ],
        reviews: &[
            "Danke. {n} prüft die Änderung an {s} morgen.",
            "Bitte schreib {n} eine kurze Zusammenfassung zu {s}.",
        ],
        why: &["warum war das so bei {s}: {x}, {y}", "{s}, Ursache: {y}"],
        how: &["wie haben wir {s} repariert, {y}", "Lösung für {s}: {y}"],
        who: &["was sollte {n} bei {s} machen", "{n} {s}"],
    },
    Language {
        asks: &["{s}{x}，请帮我看看原因。", "客户反馈{s}{x}，从昨天开始的，看一下{p}"],
        looks: &["我先看一下{p}。", "我来检查{f}的实现，重现{s}的问题。"],
        explains: &["找到原因了：{x}。问题在`{f}`，所以{s}会这样。", "根本原因是{x}，见`{f}`。{s}在高负载时马上出现。"],
        solves: &["已经修复：{x}。修改了`{f}`，{s}恢复正常。", "完成了，{x}，并且为{s}加了测试，见{p}。"],
        reviews: &["好的，请{n}明天检查{s}的修改。", "给{n}写一个{s}的总结。"],
        why: &["为什么{s}{x}，{y}", "{s}的问题，{y}"],
        how: &["{s}怎么解决的，{y}", "{y} {s}"],
        who: &["{n}要检查{s}的什么", "{n} {s}"],
    },
    Language {
        asks: &["{s}が{x}ので、原因を調べてください。", "昨日から{s}が{x}。{p}を見てもらえますか。"],
        looks: &["まず{p}を確認します。", "{f}の実装を読んで、{s}の問題を再現します。"],
        explains: &[
            "原因が分かりました。`{f}`で{x}。そのため{s}に影響しています。",
            "`{f}`を見ると、{x}。負荷が高いと{s}で発生します。",
        ],
        solves: &["修正しました。`{f}`で{x}。{s}は正常に動きます。", "対応完了です。{x}。{s}のテストを追加しました。"],
        reviews: &["ありがとう。{n}さんが明日{s}の変更を確認します。", "{n}さん向けに{s}のまとめを書いてください。"],
        why: &["なぜ{s}が{x}のか、{y}", "{s}の原因、{y}"],
        how: &["{s}をどう直したか、{y}", "{y} {s}"],
        who: &["{n}さんに{s}の何を頼んだか", "{n} {s}"],
    },
];

pub static ASIDES: [&[&str]; 4] = [
    &[
        "ok",
        "yes, go on",
        "continue",
        "Makes sense, please fix it.",
        "thanks, do that",
        "Can you do it without a new dependency?",
    ],
    &["ja, mach das", "ok", "weiter", "Klingt gut, bitte beheben."],
    &["好的", "继续", "可以，请修复", "没问题"],
    &["はい", "続けてください", "お願いします", "了解です"],
];

pub static FILLERS: [&[&str]; 4] = [
    &[
        "I also looked at the {s}, which is not affected. {p} needs no change.",
        "While at it, I formatted {p} and removed an unused import.",
        "The {s} has a similar structure, so I checked it too; nothing to do there.",
        "Next I will run the whole test suite, including that of the {s}.",
        "I listed what uses {p}: nothing but the {s}.",
    ],
    &["Ich habe auch {s} geprüft, dort ist nichts zu tun.", "Nebenbei habe ich {p} formatiert."],
    &["我也检查了{s}，没有受到影响。", "顺便格式化了{p}。"],
    &["{s}も確認しましたが、影響はありません。", "ついでに{p}を整形しました。"],
];

pub static BOILERPLATE: [&str; 5] = [
    "<system-reminder>Your todo list has changed. Do not mention this to the user. Keep using the todo list to track the fix, the login form, the migration and the tests as appropriate. If your list is empty, ignore this.</system-reminder>",
    "Caveat: The messages below were generated by the user while running local commands. Do not respond to these messages or otherwise consider them unless the user asks you to explain why a command failed or an error occurred.",
    "This session is being continued from a previous conversation that ran out of context. The summary: the user asked to find the reason for a problem, the assistant read files, found the cause, changed a function, added a test, and the review of the change is pending.",
    "[Request interrupted by user for tool use]",
    "The file has been updated. Here's the result of running `cat -n` on a snippet of the edited file: no errors, no warnings, all tests pass.",
];

pub static LOGS: [&str; 10] = [
    "INFO listening on 0.0.0.0:8080",
    "WARN slow query took 2311 ms",
    "INFO connected to the database",
    "DEBUG cache miss for key user",
    "npm warn deprecated package, use the new one",
    "Compiling shop v0.4.2",
    "warning: unused variable",
    "INFO request GET /health 200 in 1 ms",
    "at processTicksAndRejections (node:internal/process/task_queues:95:5)",
    "Traceback (most recent call last):",
];

/// {noun}, {other}, {function}, {line} and {number} are put in.
pub static ERRORS: [&str; 14] = [
    "thread 'main' panicked at src/{noun}.rs:{line}: index out of bounds: the len is {number} but the {other} index is {line}",
    "TypeError: Cannot read properties of undefined (reading '{noun}') at {function} line {line}",
    "error[E0{number}]: cannot borrow `{noun}` as mutable because it is also borrowed by `{other}`",
    "java.lang.NullPointerException: Cannot invoke \"{noun}.{other}()\" at line {line}",
    "psycopg2.errors.UniqueViolation: duplicate key value violates unique constraint \"{noun}_{other}_key\" ({number})",
    "ECONNREFUSED connect to {noun}-{other}.internal:{number} failed after {line} ms",
    "KeyError: '{noun}_{other}' in {function}, line {line}",
    "fatal: unable to access the {noun} {other} repository: SSL certificate problem, code {number}",
    "panic: runtime error: invalid memory address or nil pointer dereference in {noun}.{other} goroutine {number}",
    "OutOfMemoryError: {noun} heap space while {other} allocated {number} MB",
    "undefined reference to `{noun}_{other}` collect2: ld returned {line} exit status",
    "HTTP {number} from {noun} service: {other} quota exceeded, retry after {line} s",
    "SyntaxError: Unexpected token in {noun}.json near {other} at position {number}",
    "AssertionError: expected {noun} to equal {other} but got {number}",
];

pub static PEOPLE: [&str; 30] = [
    "Priya",
    "Tomasz",
    "Ingrid",
    "Kwame",
    "Yuki",
    "Lars",
    "Fatima",
    "Diego",
    "Anneliese",
    "Marek",
    "Chidi",
    "Olga",
    "Bastian",
    "Noor",
    "Giulia",
    "Henrik",
    "Mei",
    "Rafael",
    "Sinead",
    "Tariq",
    "Ulrike",
    "Viktor",
    "Wanjiru",
    "Xavier",
    "Zofia",
    "Aisha",
    "Bram",
    "Camille",
    "Deniz",
    "Eszter",
];

pub static VERBS: [&str; 16] = [
    "get", "load", "parse", "build", "render", "update", "check", "send", "merge", "flush", "resolve", "apply",
    "fetch", "encode", "open", "schedule",
];

pub static NOUNS: [&str; 60] = [
    "user", "order", "token", "cache", "index", "invoice", "session", "payload", "header", "route", "table", "queue",
    "worker", "batch", "image", "label", "stock", "price", "chart", "event", "filter", "cursor", "buffer", "socket",
    "report", "widget", "layout", "policy", "budget", "ledger", "parcel", "tenant", "region", "secret", "backup",
    "schema", "column", "record", "digest", "signal", "window", "bundle", "plugin", "module", "source", "target",
    "branch", "commit", "thread", "memory", "folder", "archive", "monitor", "gateway", "profile", "coupon", "booking",
    "receipt", "voucher", "shipment",
];
