"""The page at the root of the HTTP server: what this is, and where to go from here. Static, and without a script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 1rem/1.6 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.5rem; }
code, pre { font-family: ui-monospace, monospace; font-size: .95em; }
pre { padding: .75rem 1rem; border: 1px solid #8886; border-radius: .4rem; overflow-x: auto; }
dt { float: left; clear: left; width: 6rem; }
dd { margin: 0 0 .4rem 6.5rem; }
"""

# well-formed XML as well, so that a test needs no more than a parser of XML
ROOT_PAGE: Final = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8" />
<title>lucas-storage</title>
<meta name="viewport" content="width=device-width, initial-scale=1" />
<meta name="robots" content="noindex" />
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>lucas-storage</h1>
<p>This is an object storage server. Programs talk to it over gRPC, at another port; this address serves single
objects to browsers and other programs, such as curl, that have a URL for them.</p>
<h2>Get a URL</h2>
<p>A user of the server makes it, for one object and for a limited time:</p>
<pre><code>lucas-storage presign BUCKET/KEY
lucas-storage presign BUCKET/KEY --method PUT --expires 1d</code></pre>
<p>Nothing is listed at these URLs. With <code>&amp;metadata</code> behind it, a URL for reading shows the
object's description and metadata as JSON.</p>
<h2>About the server</h2>
<dl>
<dt><a href="/healthz">/healthz</a></dt>
<dd>answers while the server runs</dd>
<dt><a href="/readyz">/readyz</a></dt>
<dd>tells whether it takes calls and changes</dd>
<dt><a href="/metrics">/metrics</a></dt>
<dd>numbers for Prometheus</dd>
<dt><a href="/api/v1/openapi.json">/api/v1</a></dt>
<dd>the JSON API, and its OpenAPI document</dd>
</dl>
</main>
</body>
</html>
""".encode()

_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

ROOT_HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        # nothing is loaded, sent, run or framed; the one style is the one above
        "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'; sandbox"
    }
)
