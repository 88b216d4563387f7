//! Errors for files that are not components for this aiw, and the size limits of components.

/// The maximum size of a component. A JavaScript guest includes its engine (12 MB), and so does a Python guest (18
/// MB). Compiling a component cannot be interrupted.
pub const MAX_COMPONENT_BYTES: u64 = 32 << 20;

/// The maximum number of parts of an expanded component. Components from JavaScript and Python have some thousands.
pub const MAX_PARTS: u64 = 200_000;

/// Why a file is not a component for this aiw.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtensionError {
    /// The file is native code, which cannot be checked and is never loaded from outside.
    #[error("is precompiled native code, which is never loaded; ask its author for the .wasm component")]
    Precompiled,
    /// The file is a core module: the last build step is missing.
    #[error(
        "is a core module, not a component; build it for `wasm32-wasip2`, or wrap it with `wasm-tools component new`"
    )]
    CoreModule,
    /// The file is not WebAssembly, or is damaged.
    #[error("is not a WebAssembly component: {0}")]
    NotWasm(String),
    /// The file is larger than [`MAX_COMPONENT_BYTES`].
    #[error("is larger than {} MiB", MAX_COMPONENT_BYTES >> 20)]
    TooLarge,
    /// The expanded component has more than [`MAX_PARTS`] parts.
    #[error("is too complex: put together, it has more than {MAX_PARTS} parts")]
    TooComplex,
    /// The component instantiates a component that is passed to it. The size of that one is known only when it is
    /// expanded.
    #[error("instantiates a component that is passed to it, which aiw does not support")]
    UnsupportedInstantiation,
    /// There is no section `aiw:manifest`.
    #[error("has no manifest (section `aiw:manifest`)")]
    MissingManifest,
    /// The section `aiw:manifest` is duplicated or invalid.
    #[error("has a manifest (section `aiw:manifest`) that {0}")]
    InvalidManifest(String),
    /// The component was built against a contract that this aiw does not offer.
    #[error("{0}")]
    IncompatibleContract(String),
}
