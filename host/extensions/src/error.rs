//! Why a file is not a component for this aiw, and how large one may be.

/// The largest component that is read: a JavaScript guest brings its engine (12 MB), a
/// Python guest too (18 MB); compiling one cannot be interrupted.
pub const MAX_COMPONENT_BYTES: u64 = 32 << 20;

/// Parts of a component once they are in place. Components from JavaScript and Python have some thousands.
pub const MAX_PARTS: u64 = 200_000;

/// Why a file is not a component for this aiw.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtensionError {
    /// Native code can't be checked; it is never loaded from outside.
    #[error("is precompiled native code, which is never loaded; ask its author for the .wasm component")]
    Precompiled,
    /// A core module: the last build step is missing.
    #[error(
        "is a core module, not a component; build it for `wasm32-wasip2`, or wrap it with `wasm-tools component new`"
    )]
    CoreModule,
    /// Not WebAssembly, or damaged.
    #[error("is not a WebAssembly component: {0}")]
    NotWasm(String),
    /// Larger than [`MAX_COMPONENT_BYTES`].
    #[error("is larger than {} MiB", MAX_COMPONENT_BYTES >> 20)]
    TooLarge,
    /// Put together, it has more than [`MAX_PARTS`] parts.
    #[error("is too complex: put together, it has more than {MAX_PARTS} parts")]
    TooComplex,
    /// A component may be handed another one; how large that one is shows only when it is put together.
    #[error("instantiates a component that is passed to it, which aiw does not support")]
    Handed,
    /// There is no section `aiw:manifest`.
    #[error("has no manifest (section `aiw:manifest`)")]
    NoManifest,
    /// The section `aiw:manifest` is doubled or wrong.
    #[error("has a manifest (section `aiw:manifest`) that {0}")]
    Manifest(String),
    /// It was built against a contract that this aiw does not offer.
    #[error("{0}")]
    Contract(String),
}
