# SPDX-License-Identifier: MIT
# A table of the lines that the programs print: per question Brood, then each peer and how many times better Brood is.

# Three digits, and k, M or G where it is a rate.
function short(value,    prefix) {
    prefix = ""
    if (rate && value >= 1e9) { value /= 1e9; prefix = " G" }
    else if (rate && value >= 1e6) { value /= 1e6; prefix = " M" }
    else if (rate && value >= 1e3) { value /= 1e3; prefix = " k" }
    return sprintf(value >= 100 ? "%.0f%s" : value >= 10 ? "%.1f%s" : "%.2f%s", value, prefix)
}

{
    area = field("area"); name = field("name"); system_name = field("system"); unit = field("unit")
    median = field("median"); rate = unit ~ /\/s$/
    if (area != last_area) {
        printf "\n%-20s %16s %26s   %s\n", area, "median", "min .. max", "Brood is better by"
        last_area = area
    }
    if (name != last_name) {
        print "  " name; last_name = name; own = 0
        if (system_name != "brood") defects = defects sprintf("  %s: %s (no figure of Brood)\n", area, name)
    }
    verdict = ""
    if (system_name == "brood") { own = median; own_min = field("min"); own_max = field("max") }
    else if (own > 0 && median > 0) {
        ratio = rate ? own / median : median / own
        verdict = sprintf(ratio >= 100 ? "%.0f x" : ratio >= 10 ? "%.1f x" : "%.2f x", ratio)
        if (ratio >= 1 || system_name ~ /^brood,/) { # or another way to use it
        } else if (own_min <= field("max") && field("min") <= own_max) {
            verdict = verdict "  in the noise"
        } else {
            verdict = verdict "  behind"
            if (system_name ~ /^cpython/) defects = defects sprintf("  %s: %s (%.2f x)\n", area, name, ratio)
        }
    }
    printf "    %-18s %16s %26s   %s\n", system_name, short(median) " " unit,
        short(field("min")) " .. " short(field("max")), verdict
}

END {
    if (defects != "") printf "\nDEFECTS (behind CPython, or no figure):\n%s", defects
}
