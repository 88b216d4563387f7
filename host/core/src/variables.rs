//! Variables of the environment that decide what runs.

/// Returns whether a variable names code that a program loads, or decides where a program takes code from: a loader, a
/// C library, an interpreter, a runtime, a shell, a manager of packages or versions, or a program that starts others
/// reads it. Names are compared without case, as Windows does.
pub fn is_code_loading(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let is_known = CODE_NAMES.contains(&name.as_str()) || CODE_SUFFIXES.iter().any(|ending| name.ends_with(ending));
    is_known
        || (CODE_PREFIXES.iter().any(|beginning| name.starts_with(beginning))
            && !HARMLESS_NAMES.contains(&name.as_str()))
}

/// The names that say it by their beginning.
#[rustfmt::skip]
const CODE_PREFIXES: [&str; 52] = [
    // Loaders.
    "LD_", "DYLD_", "_RLD", "LIBPATH", "SHLIB_PATH",
    // JavaScript.
    "BUN_", "COREPACK_", "DENO_", "ELECTRON_", "FNM_", "NODE_REPL_", "NPM_CONFIG_", "NVM_", "PNPM_", "TS_NODE_", "VOLTA_",
    "YARN_",
    // Python.
    "CONDA_", "HATCH_", "MAMBA_", "PDM_", "PIPX_", "PIP_", "POETRY_", "PYENV_", "UV_",
    // Other languages.
    "BUNDLE_", "BUNDLER_", "CARGO_", "CGO_", "COMPLUS_", "COMPOSER_", "CORECLR_", "COR_", "DOTNET_", "GEM_", "JBANG_",
    "LUA_", "MONO_", "MSBUILD", "NUGET_", "PERL", "RBENV_", "RUBY", "RUSTC_", "RUSTUP_",
    // Programs that start others.
    "ANSIBLE_", "ASDF_", "BASH_FUNC_", "DOCKER_", "GIT_", "MISE_",
];

/// Prefixes of variables that only choose how a program speaks.
const HARMLESS_NAMES: [&str; 12] = [
    "BUN_DEBUG_QUIET_LOGS",
    "DENO_NO_UPDATE_CHECK",
    "DOTNET_CLI_TELEMETRY_OPTOUT",
    "DOTNET_CLI_UI_LANGUAGE",
    "DOTNET_ENVIRONMENT",
    "DOTNET_NOLOGO",
    "DOTNET_RUNNING_IN_CONTAINER",
    "DOTNET_SKIP_FIRST_TIME_EXPERIENCE",
    "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT",
    "PIP_DISABLE_PIP_VERSION_CHECK",
    "PIP_NO_CACHE_DIR",
    "UV_NO_PROGRESS",
];

/// The names that say it by their end.
const CODE_SUFFIXES: [&str; 14] = [
    "_ASKPASS",
    "_EDITOR",
    "_JAVA_OPTIONS",
    "_JAVA_OPTS",
    "LIBRARY_PATH",
    "_MODULES_PATH",
    "_MODULE_PATH",
    "_NODE_OPTIONS",
    "_PAGER",
    "_PLUGIN_PATH",
    "_PRELOAD",
    "_RSH",
    "_SSH_COMMAND",
    "_STARTUP_HOOKS",
];

/// The others.
#[rustfmt::skip]
const CODE_NAMES: [&str; 182] = [
    // The C library, and what programs of many kinds load.
    "GCONV_PATH", "GETCONF_DIR", "GLIBC_TUNABLES", "HOSTALIASES", "LOCPATH", "NLSPATH", "RESOLV_HOST_CONF",
    "OPENSSL_CONF", "OPENSSL_CONF_INCLUDE", "OPENSSL_ENGINES", "OPENSSL_MODULES", "SSLKEYLOGFILE", "SASL_PATH",
    "KRB5_CONFIG", "GNUTLS_SYSTEM_PRIORITY_FILE", "ODBCINI", "ODBCINSTINI", "ODBCSYSINI", "ORACLE_HOME", "TNS_ADMIN",
    "ALSA_CONFIG_PATH", "GDK_PIXBUF_MODULEDIR", "GDK_PIXBUF_MODULE_FILE", "GIO_EXTRA_MODULES", "GIO_MODULE_DIR",
    "GI_TYPELIB_PATH", "GST_PLUGIN_SCANNER", "GST_PLUGIN_SYSTEM_PATH", "GTK_EXE_PREFIX", "GTK_IM_MODULE_FILE",
    "GTK_MODULES", "GTK_PATH", "LIBGL_DRIVERS_PATH", "LIBVA_DRIVERS_PATH", "PIPEWIRE_MODULE_DIR", "QML2_IMPORT_PATH",
    "QML_IMPORT_PATH", "QT_QPA_PLATFORM_PLUGIN_PATH", "SPA_PLUGIN_DIR", "VK_ADD_LAYER_PATH", "VK_DRIVER_FILES",
    "VK_ICD_FILENAMES", "VK_INSTANCE_LAYERS", "VK_LAYER_PATH", "__EGL_VENDOR_LIBRARY_FILENAMES",
    // Where programs are, and what is theirs.
    "HOME", "PATH", "XDG_CACHE_HOME", "XDG_CONFIG_DIRS", "XDG_CONFIG_HOME", "XDG_DATA_DIRS", "XDG_DATA_HOME", "COMSPEC",
    "PATHEXT", "PSMODULEPATH", "PSEXECUTIONPOLICYPREFERENCE", "SYSTEMROOT", "WINDIR", "__COMPAT_LAYER", "N_PREFIX",
    "NIX_CONFIG", "NIX_PATH",
    // Shells.
    "BASHOPTS", "BASH_ENV", "CDPATH", "ENV", "FISH_FUNCTION_PATH", "FPATH", "IFS", "PROMPT_COMMAND", "PS4", "SHELL",
    "SHELLOPTS", "ZDOTDIR",
    // JavaScript.
    "ESBUILD_BINARY_PATH", "NAPI_RS_NATIVE_LIBRARY_PATH", "NODE_COMPILE_CACHE", "NODE_EXTRA_CA_CERTS", "NODE_ICU_DATA",
    "NODE_OPTIONS", "NODE_PATH", "NODE_TLS_REJECT_UNAUTHORIZED", "PRISMA_QUERY_ENGINE_BINARY",
    "PRISMA_QUERY_ENGINE_LIBRARY", "PRISMA_SCHEMA_ENGINE_BINARY", "TSX_TSCONFIG_PATH",
    // Python.
    "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_PATH", "PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTHONBREAKPOINT",
    "PYTHONCASEOK", "PYTHONEXECUTABLE", "PYTHONHOME", "PYTHONINSPECT", "PYTHONPATH", "PYTHONPLATLIBDIR",
    "PYTHONPYCACHEPREFIX", "PYTHONSTARTUP", "PYTHONUSERBASE", "PYTHONWARNINGS", "PYTHON_PRESITE", "VIRTUAL_ENV",
    // Java and .NET.
    "ASPNETCORE_HOSTINGSTARTUPASSEMBLIES", "CLASSPATH", "GRADLE_HOME", "GRADLE_OPTS", "GRADLE_USER_HOME", "JAVA_HOME",
    "JAVA_OPTS", "JAVA_TOOL_OPTIONS", "JDK_JAVAC_OPTIONS", "JRE_HOME", "M2_HOME", "MAVEN_ARGS", "MAVEN_HOME",
    "MAVEN_OPTS", "SBT_OPTS",
    // Compilers, and other languages.
    "AR", "CC", "CMAKE_TOOLCHAIN_FILE", "CXX", "MAKEFILES", "MAKEFLAGS", "PKG_CONFIG_PATH", "GOBIN", "GOCACHE", "GOENV",
    "GOFLAGS", "GOINSECURE", "GOMODCACHE", "GONOSUMDB", "GOPATH", "GOPROXY", "GOROOT", "GOSUMDB", "GOTOOLCHAIN",
    "GOWORK", "RUSTC", "RUSTDOC", "RUSTDOCFLAGS", "RUSTFLAGS", "CAML_LD_LIBRARY_PATH", "ELIXIR_ERL_OPTIONS",
    "ERL_AFLAGS", "ERL_FLAGS", "ERL_LIBS", "ERL_ZFLAGS", "GHC_PACKAGE_PATH", "GUILE_LOAD_COMPILED_PATH",
    "GUILE_LOAD_PATH", "HEX_MIRROR", "JULIA_DEPOT_PATH", "JULIA_LOAD_PATH", "JULIA_PKG_SERVER", "JULIA_PROJECT",
    "MIX_HOME", "PHPRC", "PHP_INI_SCAN_DIR", "R_ENVIRON", "R_ENVIRON_USER", "R_LIBS", "R_LIBS_USER", "R_PROFILE",
    "R_PROFILE_USER", "TCLLIBPATH",
    // Programs that start others.
    "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "BROWSER", "CLOUDSDK_PYTHON", "EDITOR", "HELM_PLUGINS", "HGRCPATH",
    "KUBECONFIG", "LESSCLOSE", "LESSOPEN", "MANPAGER", "PAGER", "SVN_SSH", "TF_CLI_CONFIG_FILE", "VISUAL",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decides_what_runs_is_known_by_table_and_by_form() {
        for name in [
            "LD_PRELOAD",
            "LD_AUDIT",
            "DYLD_INSERT_LIBRARIES",
            "OPENSSL_MODULES",
            "OPENSSL_CONF",
            "OPENSSL_ENGINES",
            "GLIBC_TUNABLES",
            "LOCPATH",
            "NLSPATH",
            "GCONV_PATH",
            "COR_PROFILER",
            "COR_PROFILER_PATH_64",
            "COR_ENABLE_PROFILING",
            "CORECLR_PROFILER_PATH",
            "CORECLR_ENABLE_PROFILING",
            "DOTNET_STARTUP_HOOKS",
            "DOTNET_GCName",
            "COMPlus_GCName",
            "BUN_INSTALL",
            "BUN_OPTIONS",
            "PERL5LIB",
            "PERL5OPT",
            "RUBYOPT",
            "RUBYLIB",
            "BUNDLE_GEMFILE",
            "BASH_FUNC_ls%%",
            "npm_config_registry",
            "PSModulePath",
            "GRAALVM_JAVA_OPTIONS",
            "MY_LD_PRELOAD",
            "KUBECONFIG",
            "LUA_INIT_5_4",
        ] {
            assert!(is_code_loading(name), "{name}");
        }
        for name in [
            "PORT",
            "NODE_ENV",
            "DEBUG",
            "LOG_LEVEL",
            "API_KEY",
            "GEMINI_API_KEY",
            "PERPLEXITY_API_KEY",
            "PYTHONUNBUFFERED",
            "PYTHONIOENCODING",
            "DOTNET_ENVIRONMENT",
            "DATABASE_URL",
            "JULIA_NUM_THREADS",
            "GITHUB_TOKEN",
            "LANG",
            "HOMEPAGE",
            "COREOS_URL",
            "LDAP_URL",
        ] {
            assert!(!is_code_loading(name), "{name}");
        }
        let all = CODE_PREFIXES.iter().chain(&CODE_SUFFIXES).chain(&CODE_NAMES).chain(&HARMLESS_NAMES);
        assert!(all.clone().all(|name| *name == name.to_ascii_uppercase()));
    }
}
