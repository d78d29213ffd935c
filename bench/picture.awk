# SPDX-License-Identifier: MIT
# Of the lines of one area, a program for gnuplot that draws it: -v machine="what is said of it" -v file=OUT.svg
# Each peer is a bar from 1 to how many times better Brood is (left of 1: worse), the whisker is what the peer's range
# makes of it.  Questions "SERIES: SIZE" are lines instead, each series a field of its own.

function quoted(text) {
    gsub(/"/, "", text)
    return "\"" text "\""
}

function short(value, unit,    prefix) {
    prefix = ""
    if (unit ~ /\/s$/) {
        if (value >= 1e9) { value /= 1e9; prefix = " G" }
        else if (value >= 1e6) { value /= 1e6; prefix = " M" }
        else if (value >= 1e3) { value /= 1e3; prefix = " k" }
    }
    return sprintf(value >= 100 ? "%.0f%s %s" : value >= 10 ? "%.1f%s %s" : "%.2f%s %s", value, prefix, unit)
}

function add_to_series(name, median, unit,    at, series) {
    at = index(name, ": ")
    series = substr(name, 1, at - 1)
    if (!(series in points)) { order[++fields] = series; unit_of[series] = unit }
    points[series] = points[series] sprintf("%s %g\n", substr(name, at + 2), median)
}

function add_bar(system_name, median, min, max, unit,    ratio, a, b) {
    if (!(system_name in colour)) { colour[system_name] = ++colours; system_of[colours] = system_name }
    ratio = unit ~ /\/s$/ ? own / median : median / own
    a = unit ~ /\/s$/ ? own / max : min / own
    b = unit ~ /\/s$/ ? own / min : max / own
    bars[system_name] = bars[system_name] sprintf("1 %g %g %g %g %g %g %g\n", -y, ratio, 1, -y - 0.38, -y + 0.38, a, b)
    labels = labels sprintf("set label %s at graph 1.01, first %g font \",9\"\n", quoted(system_name "  " short(median, unit)), -y)
    low = ratio < low || !low ? ratio : low
    high = ratio > high ? ratio : high
    y++
}

{
    area = field("area"); name = field("name"); system_name = field("system"); unit = field("unit")
    if (name ~ /: [0-9]+$/) { add_to_series(name, field("median"), unit); next }
    if (name != last_name) {
        y += 1.6; last_name = name; own = 0
        titles = titles sprintf("set label %s at graph 0.005, first %g font \",10\"\n", quoted(name), -y + 0.85)
    }
    if (system_name == "brood") {
        own = field("median")
        labels = labels sprintf("set label %s at graph 1.01, first %g font \",9\"\n", quoted("brood  " short(own, unit)), -y + 0.85)
    } else if (own > 0 && field("median") > 0) {
        add_bar(system_name, field("median"), field("min"), field("max"), unit)
    }
}

function lines(    i) {
    printf "set terminal svg size 1000,700 dynamic font \"sans,11\"\nset output %s\n", quoted(file)
    printf "set multiplot layout %d,2 title %s\n", (fields + 1) / 2, quoted("Brood, " area " (" machine ")")
    print "set logscale xy\nset grid\nset key off\nset format \"10^{%L}\""
    for (i = 1; i <= fields; i++) {
        printf "$d%d << EOD\n%sEOD\n", i, points[order[i]]
        printf "set title %s\nset ylabel %s\nplot $d%d with linespoints pt 7 lw 2\n", quoted(order[i]), quoted(unit_of[order[i]]), i
    }
    print "unset multiplot"
}

function bar_chart(    i, plot) {
    printf "set terminal svg size 1000,%d dynamic font \"sans,11\"\nset output %s\n", 110 + y * 17, quoted(file)
    printf "set title %s noenhanced\n", quoted("Brood, " area ": so many times better than (" machine ")")
    printf "set logscale x\nset xrange [%g:%g]\nset yrange [%g:0]\n", low < 0.8 ? low * 0.7 : 0.7, high * 1.5, -y - 0.5
    print "unset ytics\nset grid x\nset rmargin 34\nset style fill solid 0.7 noborder\nset arrow from 1, graph 0 to 1, graph 1 nohead lw 2"
    print "set key below"
    gsub(/\n$/, "", labels)
    print titles labels
    for (i = 1; i <= colours; i++) {
        printf "$d%d << EOD\n%sEOD\n", i, bars[system_of[i]]
        plot = plot sprintf("%s $d%d using 3:2:(%s):(%s):5:6 with boxxyerror lc %d title %s, $d%d using 3:2:7:8 with xerrorbars pt 0 lc rgb \"#444444\" notitle",
            i > 1 ? "," : "", i, "$3<1?$3:1", "$3<1?1:$3", i, quoted(system_of[i]), i)
    }
    print "plot" plot
}

END {
    if (fields) lines()
    else if (colours) bar_chart()
}
