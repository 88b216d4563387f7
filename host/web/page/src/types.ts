// The answers of the server, by the names that its description gives them.
export interface Overview {
  tasks: { running: number; queued: number; unread: number } | null
  processes: { all: number; running: number } | null
  providers: string[] | null
  servers: number | null
  history: { sessions: number; messages: number } | null
  next: string
}

export interface ProcessSummary {
  id: string
  project: string
  state: string
  reason?: string
  command: string
  shell: boolean
  source?: string | null
  group?: string | null
  ports?: number[]
  pid?: number | null
  ready?: boolean | null
  exit_code?: number | null
  signal?: number | null
  restart: string
  restarts: number
  causes?: { time: string; why: string }[]
  started?: string | null
  running_since?: string | null
  ended?: string | null
  next_start?: string | null
  last_lines?: string[]
  limits?: Record<string, string>
  usage?: { processes: number; memory: number; cpu_ms: number } | null
}

export interface ProcessList {
  processes: ProcessSummary[]
  problem: string | null
}

export interface ProcessGraph {
  processes: Record<string, { state: string; needs: Record<string, string> }>
}

export interface ProcessOutput {
  lines: string[]
  said: string[]
  next: number
  more: boolean
  missed: boolean
  state: string
}

export interface Done {
  done: string[]
}

export interface TaskSummary {
  id: string
  pid: number | null
  cli: string
  provider: string | null
  role: string | null
  state: string
  outcome: string | null
  exit_code: number | null
  signal: number | null
  started: string
  ended: string | null
  unread: boolean
  prompt: string
  cwd: string
  session: string | null
}

export interface TaskDetails extends TaskSummary {
  model: string | null
  permission: string
  bypass: string | null
  private: boolean
  tag: string | null
  duration_ms: number
  final_message: string | null
  usage: { input: number; output: number; cached?: number | null; reasoning?: number | null } | null
  cost_usd: number | null
  note: string | null
}

export interface TaskList {
  tasks: TaskSummary[]
  problems: string[]
}

export interface TaskAnswer {
  task: TaskDetails
  resume: string | null
}

export interface TaskLogLine {
  time: string
  stream: string
  text: string
}

export interface TaskLog {
  id: string
  lines: TaskLogLine[]
}

export interface ServerEntry {
  name: string
  scope: string
  transport: string | null
  target: string
  enabled: boolean
  plugin: string | null
  tools: number | null
  error: string | null
}

export interface ServerList {
  servers: ServerEntry[]
  problems: string[]
}

export interface ServerStatus {
  name: string
  transport: string | null
  state: string
  tools: number
  withheld: string[]
  left_out: string[]
  tokens: number
  version: string | null
  error: string | null
  latency_ms: number | null
  start_ms: number | null
}

export interface ShownServer {
  name: string
  scope: string
  file: string
  enabled: boolean
  declaration?: unknown
  error: string | null
  tools: number | null
  instructions: string | null
}

export interface ServerTool {
  server: string
  name: string
  proxied: string
  description: string
  read_only: boolean
  tokens: number
  withheld: boolean
  suspicions: string[]
  input_schema: unknown
}

export interface Called {
  tool: string
  text: string
  result: unknown
  failed: boolean
}

export interface HistoryHit {
  session: string
  cli: string
  project: string
  time: string | null
  role: string
  snippet: string
  provider: string | null
  resume: string
  problem?: string | null
  uuid: string
}

export interface HistorySearch {
  hits: HistoryHit[]
  waiting: number
  took_ms: number
}

export interface HistorySession {
  session: string
  cli: string
  project: string
  title: string
  last: string | null
  messages: number
  provider: string | null
  resume: string
  problem?: string | null
}

export interface ProviderSummary {
  name: string
  preset: string
  base_urls: Record<string, string | null>
  clis: string[]
  gateway: string[]
  default: boolean
  secret: string
  health?: unknown
}

export interface ProviderDetails extends ProviderSummary {
  keeps_key: boolean
  model: string | null
  models: unknown
  scenario: string | null
  component: string | null
  default_for: string[]
  env: string[]
  headers: string[]
  withhold: string[]
  secrets: string[]
}

export interface Preset {
  id: string
  label: string
  token: string
  clis: string[]
}

export interface TestSummary {
  name: string
  latency_ms: number
  key: string
  message: string
  models: string[]
}

export interface PoolSummary {
  name: string
  members: { provider: string; model: string | null; exists: boolean }[]
  choose: string
  default_for: string[]
}

export interface UsageSum {
  requests: number
  tasks: number
  input: number
  cached: number
  cache_written: number
  output: number
  thinking: number
  cost_usd: number
  unpriced: number
  cut: number
  estimated: number
}

export interface UsageRow extends UsageSum {
  key: string | null
}

export interface UsageAnswer {
  by: string
  since: string
  rows: UsageRow[]
  total: UsageSum
}

export interface Budget {
  name: string
  usd: number | null
  tokens: number | null
  per: string
  provider: string | null
  project: string | null
  refuses: boolean
  spent: UsageSum
}

export interface PluginSummary {
  id: string
  name: string
  marketplace: string
  version: string | null
  description: string | null
  category: string | null
  mcp_servers: { name: string; type: string }[] | null
  brings: string[] | null
  installed: boolean
  enabled: boolean
  missing_env: string[]
  broken: string | null
}

export interface PluginSearch {
  plugins: PluginSummary[]
  hidden: { without_servers: number; not_inspected: number; broken: number }
  not_fetched: string[]
}

export interface Market {
  name: string
  source: string
  revision: string | null
  plugins: number | null
  enabled: boolean
  not_inspected: number | null
  fetched_at: string | null
  official: boolean
}

export interface Registry {
  id: string
  on: boolean
  fetched: string | null
  problem: string | null
}

export interface RegistryServer {
  name: string
  source: string
  title: string | null
  description: string
  version: string
  status: string
  status_message: string | null
  publisher: string | null
  repository: string | null
  website: string | null
  uses: number | null
  kinds: string[]
  also: string[]
  looks_like: string[]
}

export interface RegistrySearch {
  servers: RegistryServer[]
  sources: { source: string; found: number; age_seconds: number; copied: number | null; problem: string | null }[]
}

export interface ServerInstalled {
  key: string
  name: string
  version: string
  tools: number | null
  problem: string | null
}

export interface Workflow {
  name: string
  path: string
  state: string
  description: string | null
  tools: string[]
  problem: string | null
}

export interface HomeEvent {
  time: string
  kind: string
  of: string
  name?: string | null
  project?: string | null
  id?: string | null
  by?: string | null
  exit_code?: number | null
  signal?: number | null
  why?: string | null
}

export interface EventList {
  events: HomeEvent[]
  next: number
  gap: boolean
}

export interface SyncStatus {
  farEnd: string
  machine: string
  fingerprint: string | null
  unpushed: string[]
  leftOut: { path: string; why: string }[]
  machines: { id: string; snapshots: number; merged: boolean }[]
  wishes: { kind: string; name: string; next: string }[]
}

export interface SyncChange {
  path: string
  change: string
  effect: string
  lines: string[]
}

export interface SyncDifference {
  snapshot: string
  changes: SyncChange[]
}

export interface SyncPush {
  snapshot: string | null
  files: number
}

export interface SyncPull {
  applied: boolean
  changes: SyncChange[]
  conflicts: unknown[]
}

export interface SyncUndone {
  what: string
  files: string[]
}

export interface SyncLog {
  entries: { time: string; what: string; files: string[] }[]
}

export interface Doctor {
  parts: { name: string; summary: string; problems: { problem: string; next: string }[] }[]
}

export interface Cli {
  kind: string
  path: string | null
  version: string | null
  install: string | null
  available: boolean
  newest: string | null
  update: string | null
}

export interface Update {
  version: string
  path: string
  update: string
}
