"""Hands for the editor of policy B."""


def control(page, op: str, field: str, end: str = ""):
    """A slider or checkbox of the editor, its group opened."""
    inside = f'[data-op="{op}"] input[data-field="{field}"]' + (f"[data-end={end}]" if end else "")
    group = page.locator("#editor details").filter(has=page.locator(inside))
    if group.count() and group.get_attribute("open") is None:
        group.locator("summary").click()
    return page.locator(f"#editor {inside}")
