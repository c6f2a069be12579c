"""An authority and its certificates, made with openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Authority:
    """Signs certificates for 127.0.0.1 in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.certificate, self.key = folder / "ca.crt", folder / "ca.key"
        subject = ["-subj", "/CN=test authority", "-days", "2", "-keyout", str(self.key)]
        openssl("req", "-x509", *_NEW, *subject, "-out", str(self.certificate))

    def sign(self, name: str, *, days: int = 2, host: str = "IP:127.0.0.1") -> tuple[Path, Path]:
        """A certificate and its key; with -1 days it has expired."""
        certificate, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        request, about = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        openssl("req", *_NEW, "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(request))
        about.write_text(f"subjectAltName={host}\n")
        signed = ["-CA", str(self.certificate), "-CAkey", str(self.key), "-CAcreateserial"]
        signed += ["-extfile", str(about), "-days", str(days), "-out", str(certificate)]
        openssl("x509", "-req", "-in", str(request), *signed)
        return certificate, key


_NEW = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
