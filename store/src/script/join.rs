//! Puts the helpers that a script includes into its text. Pure; shared with the build script.

/// The text of `entry` with each `--@include path` line replaced by the file it names.
///
/// `read` returns the text of a path below `lua/`. A helper is put in once, where it is first
/// asked for, after the helpers that it asks for itself. A `#!lua` line stays the first one.
///
/// `--@include-here path` puts a helper in although it stands elsewhere, where it cannot be seen from
/// here: for the inside of a function, which alone sees it. What it asks for is put in if it stands
/// nowhere above.
///
/// # Errors
/// A sentence that names the file, when one is missing, includes itself, or is a helper with a
/// `#!lua` line of its own.
pub(crate) fn join(entry: &str, read: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut joined = String::new();
    let mut done = Vec::new();
    include(entry, read, &mut vec![], &mut done, &mut joined)?;
    Ok(joined)
}

fn include(
    path: &str,
    read: &dyn Fn(&str) -> Option<String>,
    open: &mut Vec<String>,
    done: &mut Vec<String>,
    joined: &mut String,
) -> Result<(), String> {
    if done.iter().any(|known| known == path) {
        return Ok(());
    }
    let from = open.last().map(String::as_str).unwrap_or("the build");
    if open.iter().any(|known| known == path) {
        return Err(format!("lua/{path} includes itself by way of {from}"));
    }
    let text = read(path).ok_or_else(|| format!("lua/{path} is missing; {from} includes it"))?;
    if !open.is_empty() && text.starts_with("#!") {
        return Err(format!("lua/{path} is a helper, so its #! line must go"));
    }
    open.push(path.to_owned());
    for line in text.lines() {
        if let Some(helper) = line.strip_prefix("--@include ") {
            include(helper.trim(), read, open, done, joined)?;
        } else if let Some(helper) = line.strip_prefix("--@include-here ") {
            let helper = helper.trim();
            let mut above = done.clone();
            above.retain(|known| known != helper);
            include(helper, read, open, &mut above, joined)?;
        } else {
            joined.push_str(line);
            joined.push('\n');
        }
    }
    open.pop();
    done.push(path.to_owned());
    Ok(())
}
