# shellcheck shell=bash disable=SC2034 # the variables are for the recipes
# The machine's own package sources, so that the images come from where the machine's packages come from: no mirror is named here.
# Sourced by build.sh.

apt_directory=/etc/apt

# write_distribution_sources SUITE: the machine's sources for that suite, without those of other vendors.
# A source belongs to the distribution when its suite is SUITE, SUITE-updates or SUITE-security and it offers "main".
write_distribution_sources() {
    local suite=$1 wanted file
    wanted="$suite(-updates|-security|/updates)?"
    for file in "$apt_directory"/sources.list "$apt_directory"/sources.list.d/*.list; do
        [ -f "$file" ] || continue
        grep --extended-regexp "^[[:space:]]*deb[[:space:]]+(\[[^]]*\][[:space:]]+)?[^[:space:]]+[[:space:]]+${wanted}[[:space:]]+(.*[[:space:]])?main([[:space:]]|\$)" \
            "$file" || true
    done
    for file in "$apt_directory"/sources.list.d/*.sources; do
        [ -f "$file" ] || continue
        # deb822: paragraphs split by empty lines; a comment line does not end one.
        awk -v wanted="^$wanted\$" 'BEGIN { RS = ""; FS = "\n" }
            {
                text = ""; deb = 1; enabled = 1; ours = 0; main = 0
                for (i = 1; i <= NF; i++) {
                    if ($i ~ /^#/) continue
                    text = text $i "\n"
                    n = split($i, word, /[ \t]+/)
                    key = tolower(word[1])
                    if (key == "types:") { deb = 0; for (j = 2; j <= n; j++) if (word[j] == "deb") deb = 1 }
                    if (key == "enabled:" && tolower(word[2]) == "no") enabled = 0
                    if (key == "suites:") for (j = 2; j <= n; j++) if (word[j] ~ wanted) ours = 1
                    if (key == "components:") for (j = 2; j <= n; j++) if (word[j] == "main") main = 1
                }
                if (deb && enabled && ours && main) print text
            }' "$file"
    done
}

# read_distribution_apt_options: sets distribution_apt_options to mmdebstrap's options that pass on how this machine reaches
# its sources (proxies, certificates, time limits): apt's Acquire settings, none of its hooks.
read_distribution_apt_options() {
    local line
    distribution_apt_options=()
    while IFS= read -r line; do
        distribution_apt_options+=("--aptopt=$line")
    done < <(apt-config dump --format '%F "%v";%n' | grep --extended-regexp '^Acquire::(https?|ftp|Retries|Check-Valid-Until|Check-Date|Max-FutureTime)' | grep --invert-match ' "";$' || true)
}
