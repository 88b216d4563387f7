//! What aiw knows how to get, with the digest of every file.

/// A model, or the library that runs models.
#[derive(Debug, Clone, Copy)]
pub(super) struct CatalogModel {
    pub name: &'static str,
    pub label: &'static str,
    pub files: &'static [CatalogFile],
}

/// A file to get.
#[derive(Debug, Clone, Copy)]
pub(super) struct CatalogFile {
    /// Its name beside the others. A mirror has it under this name, or under that of its archive.
    pub name: &'static str,
    pub url: &'static str,
    pub size: u64,
    pub sha256: &'static str,
    /// The file to take out, if it is an archive.
    pub member: Option<ArchiveMember>,
}

/// A file inside an archive.
#[derive(Debug, Clone, Copy)]
pub(super) struct ArchiveMember {
    pub path: &'static str,
    pub name: &'static str,
    pub size: u64,
    pub sha256: &'static str,
}

/// The name of the library in lists and commands.
pub const RUNTIME_NAME: &str = "onnxruntime";

/// The model to use unless another is named.
pub const DEFAULT_MODEL: &str = "all-MiniLM-L6-v2";

macro_rules! minilm {
    ($path:literal, $name:literal, $size:literal, $sha256:literal) => {
        CatalogFile {
            name: $name,
            url: concat!(
                "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2/resolve/",
                "1110a243fdf4706b3f48f1d95db1a4f5529b4d41/",
                $path
            ),
            size: $size,
            sha256: $sha256,
            member: None,
        }
    };
}

const TOKENIZER: CatalogFile = minilm!(
    "tokenizer.json",
    "tokenizer.json",
    466_247,
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
);
const CONFIG: CatalogFile =
    minilm!("config.json", "config.json", 612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41");
const SPECIAL_TOKENS: CatalogFile = minilm!(
    "special_tokens_map.json",
    "special_tokens_map.json",
    112,
    "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"
);
const TOKENIZER_CONFIG: CatalogFile = minilm!(
    "tokenizer_config.json",
    "tokenizer_config.json",
    350,
    "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"
);

/// The models, the default one first.
pub(super) const MODELS: [CatalogModel; 2] = [
    CatalogModel {
        name: DEFAULT_MODEL,
        label: "English sentences, 384 dimensions, Apache-2.0",
        files: &[
            minilm!(
                "onnx/model.onnx",
                "model.onnx",
                90_405_214,
                "6fd5d72fe4589f189f8ebc006442dbb529bb7ce38f8082112682524616046452"
            ),
            TOKENIZER,
            CONFIG,
            SPECIAL_TOKENS,
            TOKENIZER_CONFIG,
        ],
    },
    CatalogModel {
        name: "all-MiniLM-L6-v2-int8",
        label: "the same in a quarter of the size: faster, a little less exact",
        files: &[
            minilm!(
                "onnx/model_quint8_avx2.onnx",
                "model.onnx",
                23_046_789,
                "b941bf19f1f1283680f449fa6a7336bb5600bdcd5f84d10ddc5cd72218a0fd21"
            ),
            TOKENIZER,
            CONFIG,
            SPECIAL_TOKENS,
            TOKENIZER_CONFIG,
        ],
    },
];

macro_rules! wheel {
    ($tag:literal, $place:literal, $size:literal, $sha256:literal, $member:literal, $name:literal, $bytes:literal, $digest:literal) => {
        Some(CatalogModel {
            name: RUNTIME_NAME,
            label: "the library that runs models, 1.31.1, MIT",
            files: &[CatalogFile {
                name: concat!("onnxruntime-1.31.1-cp311-cp311-", $tag, ".whl"),
                url: concat!(
                    "https://files.pythonhosted.org/packages/",
                    $place,
                    "/onnxruntime-1.31.1-cp311-cp311-",
                    $tag,
                    ".whl"
                ),
                size: $size,
                sha256: $sha256,
                member: Some(ArchiveMember {
                    path: concat!("onnxruntime/capi/", $member),
                    name: $name,
                    size: $bytes,
                    sha256: $digest,
                }),
            }],
        })
    };
}

/// The library for this system. It is taken out of the package for Python, which is published for most systems; on
/// others (macOS on Intel processors among them), the user has to have one.
pub(super) const fn runtime() -> Option<CatalogModel> {
    if cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) {
        wheel!(
            "manylinux_2_28_x86_64",
            "b4/1d/0f85ee31a3d93f2243a5cc29252becf858f53ac5cfa6c9c15d9ffe107eea",
            23_753_652,
            "5752bd508126ae7c49894d3b9d2e83f0c3d487319246d04c444b393308d7ad7f",
            "libonnxruntime.so.1.31.1",
            "libonnxruntime.so",
            29_352_200,
            "fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3"
        )
    } else if cfg!(all(target_os = "linux", target_arch = "aarch64", target_env = "gnu")) {
        wheel!(
            "manylinux_2_28_aarch64",
            "02/ee/b173a49293b146b54bd057bf8681a015aef764d8f56d999ad8c6e53ab18d",
            21_413_526,
            "da05378364c44d4407e463982d2bf8d5e4cfea873283757e48beeb41df97b7f3",
            "libonnxruntime.so.1.31.1",
            "libonnxruntime.so",
            25_265_040,
            "8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467"
        )
    } else if cfg!(all(target_os = "macos", target_arch = "aarch64")) {
        wheel!(
            "macosx_14_0_arm64",
            "fa/44/e9e04a60f726d16ba3abe30ab267e1569e061f7f6f0e175ee103661e1780",
            20_871_676,
            "60b6b69bfe580eab576cacc5d132a0e9cf2a37fcfd18d46dd191042b1d1ed0d7",
            "libonnxruntime.1.31.1.dylib",
            "libonnxruntime.dylib",
            33_037_336,
            "f8b06155feece624e55e49124340eea279da812529ae6fbc46a9f2be9c9cad2e"
        )
    } else if cfg!(all(windows, target_arch = "x86_64")) {
        wheel!(
            "win_amd64",
            "69/82/2e2bf967ade9567d77c307533566ef56a19c32e2114fc062a405703def88",
            14_885_761,
            "c3d91b5de31e2fc82d71bd65b2b22bddee8b49057a3a36338e9a868e0ea90c05",
            "onnxruntime.dll",
            "onnxruntime.dll",
            19_288_888,
            "8482d2ee174e28504f99730fb01d6861575870283de4ed3a897ad39170d9a9b9"
        )
    } else if cfg!(all(windows, target_arch = "aarch64")) {
        wheel!(
            "win_arm64",
            "c4/c6/1995e04cc964c6abac426f59525b41c31f766c9392cabfb1e67c51718823",
            14_735_267,
            "93800007a7023b3ab26ad72e6463d0d57d84ead49a2f6341954d91438e046bc0",
            "onnxruntime.dll",
            "onnxruntime.dll",
            19_171_640,
            "f4f7729bf4aa0c78b6ab5253747f3593bb9a28b4c4275a0a9f59f04ea580d61f"
        )
    } else {
        None
    }
}
