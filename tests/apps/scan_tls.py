"""In:     a host and port where TLS is spoken, and the authority that its certificate is of.
Out:    what testssl and sslyze find there: what is allowed, with the reason; exit code 1 for anything else.
Actors: the two scanners, one after the other.
Never:  is a finding passed over in silence, or a scanner that did not come to its end taken for content.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

SCAN_SECONDS_MAX = 240

# Protocols, cipher groups, forward secrecy, preferences, defaults, headers, vulnerabilities.
TESTSSL_CHECKS = ["-p", "-s", "-f", "-P", "-S", "-h", "-U"]
# What says that nothing is wrong, or only tells.
GOOD_SEVERITIES = ("OK", "INFO")

# By what testssl calls them: they are due to the certificate of a local authority, or what a site must ask for.
ALLOWED = {
    "cert_revocation": "a local authority has neither CRL nor OCSP",
    "DNS_CAArecord": "a local name has no such record",
    "HSTS": "only with `strict` in the site's `tls`",
    "security_headers": "only a site knows which it wants",
}
# What may not come to its end on a busy machine.
ALLOWED_WARNINGS = {
    "sessionresumption_ticket": "the client may leave before its ticket comes",
    "scanTime": "a busy machine",
    "engine_problem": "the local OpenSSL has no engine for GOST, which is not spoken here",
    "SWEET32": "the local OpenSSL lacks ciphers that are looked for; -f and sslyze say which are there",
    "CRIME_TLS": "the local OpenSSL cannot compress",
}
# What must be said, else the scan has not looked.
NEEDED = (
    "SSLv2",
    "SSLv3",
    "TLS1",
    "TLS1_1",
    "TLS1_2",
    "TLS1_3",
    "cert_chain_of_trust",
    "cert_trust",
    "heartbleed",
    "RC4",
)


class Unfinished(Exception):
    """A scanner that did not say what it must."""


def run(command: list[str]) -> str:
    """The output of a program, which is ended with all its children when it takes too long."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    ) as child:
        try:
            output, _ = child.communicate(timeout=SCAN_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            raise Unfinished(f"{command[0]} took more than {SCAN_SECONDS_MAX} s") from None
    return output.decode(errors="replace")


def testssl(host: str, port: int, authority: Path, scratch: Path) -> list[str]:
    """What testssl finds wrong."""
    findings_path = scratch / "testssl.json"
    options = ["--quiet", "--color", "0", "--warnings", "batch", "--nodns", "none"]
    options += ["--ip", socket.gethostbyname(host), "--add-ca", str(authority), "--jsonfile", str(findings_path)]
    output = run(["testssl", *options, *TESTSSL_CHECKS, f"{host}:{port}"])
    if not findings_path.exists():
        raise Unfinished(output)
    findings = json.loads(findings_path.read_text())
    missing = set(NEEDED) - {finding["id"] for finding in findings}
    if missing:
        raise Unfinished(f"testssl says nothing of {', '.join(sorted(missing))}:\n{output}")
    return [line for line in map(judge, findings) if line]


def judge(finding: dict) -> str:
    """A finding as a line, where it is wrong; what is allowed is said at once."""
    name, severity = finding["id"], finding["severity"]
    if severity in GOOD_SEVERITIES:
        return ""
    line = f"testssl: {severity} {name}: {finding['finding']}"
    reason = ALLOWED.get(name) or (ALLOWED_WARNINGS.get(name) if severity == "WARN" else None)
    if not reason:
        return line
    print(f"allowed {line} ({reason})", flush=True)
    return ""


def sslyze(host: str, port: int, authority: Path, scratch: Path) -> list[str]:
    """What sslyze finds that Mozilla's intermediate configuration would not have."""
    results_path = scratch / "sslyze.json"
    program = Path(sys.executable).with_name("sslyze")
    options = ["--mozilla_config=intermediate", "--certinfo_ca_file", str(authority), "--json_out", str(results_path)]
    output = run([str(program), *options, f"{host}:{port}{{{socket.gethostbyname(host)}}}"])
    if not results_path.exists() or "COMPLIANCE AGAINST TLS CONFIGURATION" not in output:
        raise Unfinished(output)
    wrong = []
    compliance = output.partition("COMPLIANCE AGAINST TLS CONFIGURATION")[2]
    if ": OK - Compliant" not in compliance:
        wrong.append(f"sslyze: {compliance.strip(' -')}")
    scan = json.loads(results_path.read_text())["server_scan_results"][0]["scan_result"]
    unfinished = [name for name, attempt in scan.items() if attempt and attempt["status"] == "ERROR"]
    wrong += [f"sslyze: {name} did not come to its end" for name in unfinished]
    for deployment in scan["certificate_info"]["result"]["certificate_deployments"]:
        wrong += judge_trust(deployment["path_validation_results"])
    return wrong


def judge_trust(validations: list[dict]) -> list[str]:
    """The named authority must be enough; that no other knows it is how it is."""
    wrong = []
    for validation in validations:
        store = validation["trust_store"]["name"]
        if validation["was_validation_successful"]:
            continue
        line = f"sslyze: not trusted by {store}"
        if store == "Supplied CA file":
            wrong.append(f"{line}: {validation['validation_error']}")
        else:
            print(f"allowed {line} (a local authority)", flush=True)
    return wrong


def main() -> int:
    asked = argparse.ArgumentParser(description="Scans a server's TLS.")
    asked.add_argument("place", metavar="HOST:PORT")
    asked.add_argument("--authority", type=Path, required=True, metavar="CAFILE")
    asked.add_argument("--only", choices=["testssl", "sslyze"])
    asked = asked.parse_args()
    host, _, port = asked.place.rpartition(":")
    scanners = [scan for scan in (sslyze, testssl) if asked.only in (None, scan.__name__)]
    wrong = []
    with tempfile.TemporaryDirectory() as scratch:
        for scan in scanners:
            try:
                wrong += scan(host, int(port), asked.authority.resolve(), Path(scratch))
            except Unfinished as fault:
                wrong.append(f"{scan.__name__}: {fault}")
    for line in wrong:
        print(f"FAILED {line}")
    print(f"{len(wrong)} findings that must not be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
