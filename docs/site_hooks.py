"""What mkdocs.yml cannot say: links of a page to files outside docs/, and links of notebooks.

A file outside docs/ to which a page links becomes a page of the site, under source/: Markdown as it is, other
text as code. So a link works in the repository and on the site.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.plugins import get_plugin_logger
from mkdocs.structure.files import File
from mkdocs.utils import get_relative_url
from pymdownx.slugs import slugify

ROOT = Path(__file__).parents[1]
_LOG = get_plugin_logger(__name__)
_NOTEBOOK_LINK = re.compile(r'href="([\w/.-]+\.(?:md|ipynb))(#[^"]*)?"')
_LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_config(config):
    config.mdx_configs["toc"]["slugify"] = slugify(case="lower")  # anchors as GitHub makes them
    return config


def on_files(files, config):
    """Adds the files outside docs/ that pages, and those files themselves, link to."""
    pages = [f"docs/{file.src_uri}" for file in files if file.src_uri.endswith(".md")]
    seen = set()
    while pages:
        for target in _targets(pages.pop()) - seen:
            seen.add(target)
            files.append(File.generated(config, _page_of(target), content=_content(target)))
            if target.endswith(".md"):
                pages.append(target)
    return files


def on_page_markdown(markdown, page, config, files):
    """Leads the links of a page to where the site has what they mean."""
    here = page.file.src_uri
    origin = here.removeprefix("source/") if here.startswith("source/") else f"docs/{here}"

    def lead(match: re.Match) -> str:
        target = _resolved(origin, match[1])
        if not (ROOT / target).is_file():
            return match[0]  # no link, or one that MkDocs warns of
        there = target.removeprefix("docs/") if target.startswith("docs/") else _page_of(target)
        return f"]({posixpath.relpath(there, posixpath.dirname(here) or '.')}{match[2] or ''})"

    return _LINK.sub(lead, markdown) if (ROOT / origin).is_file() else markdown


def on_page_content(html, page, config, files):
    """Leads the links of a notebook to pages: mkdocs-jupyter leaves them as they are."""
    if not page.file.src_uri.endswith(".ipynb"):
        return html

    def lead(match: re.Match) -> str:
        target = files.get_file_from_path(_resolved(page.file.src_uri, match[1]))
        if target is None:
            _LOG.warning(f"{page.file.src_uri} links to {match[1]}, which is no page")  # --strict fails
            return match[0]
        return f'href="{get_relative_url(target.url, page.url)}{match[2] or ""}"'

    return _NOTEBOOK_LINK.sub(lead, html)


def _resolved(origin: str, link: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin), link))


def _targets(origin: str) -> set[str]:
    """The files outside docs/ to which the page at `origin` links, as paths from the root."""
    found = {
        _resolved(origin, link) for link, _ in _LINK.findall((ROOT / origin).read_text(encoding="utf-8"))
    }
    outside = {path for path in found if not path.startswith(("docs/", "..")) and (ROOT / path).is_file()}
    return outside - {"README.md"}


def _page_of(path: str) -> str:
    if path == "README.md":
        return "index.md"
    return f"source/{path}" if path.endswith(".md") else f"source/{path}.md"


def _content(path: str) -> str:
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.endswith(".md"):
        return text
    return f"# {path}\n\n~~~~{Path(path).suffix[1:]}\n{text}\n~~~~\n"
