#!/bin/sh
# Writes the report from the results of the other tasks and prints where it is.
set -eu
json=$(cat)

# The value of a member of the input, which is a text or a number and occurs once.
value() {
    printf '%s\n' "$json" | sed -n 's/.*"'"$1"'": *"\{0,1\}\([^",}]*\).*/\1/p'
}

report=target/demo/report.html
mkdir -p "${report%/*}"
# Written beside it and moved into place: a second attempt must not find half a report.
{
    cat <<'HEAD'
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Census of the sources</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: 60rem; padding: 0 1rem; }
  table { border-collapse: collapse; width: 100%; }
  th, td { border-bottom: 1px solid #ccc; padding: .4rem .8rem; text-align: right; }
  th:first-child, td:first-child, td:last-child, th:last-child { text-align: left; }
  code { font-size: .8em; overflow-wrap: anywhere; }
</style>
<h1>Census of the sources</h1>
HEAD
    echo "<p>$(value crates) crates, $(value files) files, $(value lines) lines, counted and"
    echo "hashed by workflow <code>$PACELINE_WORKFLOW_ID</code>.</p>"
    echo "<table><tr><th>Crate<th>Files<th>Lines<th>Bytes<th>Checksum"
    for crate in $(value list); do
        # shellcheck disable=SC2046
        set -- $(value "count-$crate")
        echo "<tr><td>$1<td>$2<td>$3<td>$4<td><code>$(value "hash-$crate")</code>"
    done
    echo "</table></html>"
} >"$report.$PACELINE_JOB_ID"
mv "$report.$PACELINE_JOB_ID" "$report"
echo "$report"
