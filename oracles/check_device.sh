#!/usr/bin/env bash
# Checks graphics cards beside PyTorch within eight minutes, on a machine that has PyTorch, timm and a driver but
# neither Rust nor the internet:
#
#     oracles/check_device.sh [--devices "libtorch:cuda vulkan"] [--minutes 8] [--wheels DIR] BINARY [WORD ...]
#
# BINARY is `inkling`, built elsewhere with `--features libtorch,vulkan`; what has to travel may be `strip`ped and packed
# by `xz`. The device `libtorch…` needs a LibTorch of the version that it was built with: python3's PyTorch is taken, or the one
# that INKLING_LIBTORCH names by its folder `lib`. `vulkan` needs libvulkan.so.1 where the loader of libraries looks.
# DIR holds wheels of Python packages that the machine lacks: `pip download --no-deps segmentation_models_pytorch`.
# Other words go to check_device.py, which does the work and says what they are.
set -euo pipefail

devices="libtorch:cuda vulkan" minutes=8 wheels=
while [ $# -gt 0 ]; do
    case $1 in
    --devices) devices=$2 ;;
    --minutes) minutes=$2 ;;
    --wheels) wheels=$2 ;;
    *) break ;;
    esac
    shift 2
done
if [ $# = 0 ]; then
    echo "expected: check_device.sh [--devices NAMES] [--minutes N] [--wheels DIR] BINARY" >&2
    exit 2
fi
binary=$(realpath "$1")
shift
python=${INKLING_PYTHON:-python3}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if [ "${binary##*.}" = xz ]; then
    "$python" - "$binary" "$scratch/inkling" <<'END'
import lzma, pathlib, sys
packed, binary = map(pathlib.Path, sys.argv[1:])
binary.write_bytes(lzma.decompress(packed.read_bytes()))
binary.chmod(0o755)
END
    binary=$scratch/inkling
fi
if [ -n "$wheels" ]; then
    "$python" -m pip install -q --no-index --no-deps --target "$scratch/site" "$wheels"/*.whl
    export PYTHONPATH=$scratch/site${PYTHONPATH:+:$PYTHONPATH}
fi
# CUDA's own libraries lie beside PyTorch, in nvidia/*/lib.
libtorch=${INKLING_LIBTORCH:-$("$python" -c 'import pathlib, torch; print(pathlib.Path(torch.__file__).parent / "lib")')}
for folder in "$libtorch" "$libtorch"/../../nvidia/*/lib; do
    if [ -d "$folder" ]; then
        LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder
    fi
done
# Of the binary alone: PyTorch finds its own.
export INKLING_LIBRARIES=$LD_LIBRARY_PATH
unset LD_LIBRARY_PATH

# shellcheck disable=SC2086
timeout $((60 * minutes)) "$python" "$(dirname "$0")/check_device.py" "$binary" \
    --devices $devices --seconds $((60 * minutes - 10)) "$@"
