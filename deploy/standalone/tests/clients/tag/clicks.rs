//! Goal: a click says on what, and never what stands in a field. Method: a page of elements, each clicked once.

use super::Shop;

/// What is clicked, by its `data-x`, and the row it makes: element, text, address and name. `None`: no row.
type Case = (&'static str, &'static str, Option<[&'static str; 4]>);

const CASES: &[Case] = &[
    (
        "link",
        "<nav id=top><a data-x=link class='big buy now' href='#a?b=1'>Buy\n  <b>now</b></a></nav>",
        Some(["nav#top > a.big.buy", "Buy now", "#a?b=1", ""]),
    ),
    (
        "inner",
        "<ul class=menu><li><a href='#c'><b data-x=inner>deep</b></a></li></ul>",
        Some(["ul.menu > li > a", "deep", "#c", ""]),
    ),
    ("button", "<button data-x=button id=pay type=button>Pay</button>", Some(["button#pay", "Pay", "", ""])),
    (
        "icon",
        "<button data-x=icon id=icon type=button aria-label=Close><svg width=9 height=9></svg></button>",
        Some(["button#icon", "Close", "", ""]),
    ),
    ("named", "<div id=n data-x=named data-footfall=teaser>Look</div>", Some(["div#n", "Look", "", "teaser"])),
    (
        "submit",
        "<form id=f onsubmit='return false'><input data-x=submit type=submit value=SECRET></form>",
        Some(["form#f > input", "", "", ""]),
    ),
    (
        "drawing",
        "<svg width=40 height=40><a id=d href='#d'><rect data-x=drawing width=40 height=40 /></a></svg>",
        Some(["a#d", "", "#d", ""]),
    ),
    (
        "long",
        "<button data-x=long id=l type=button>0123456789 0123456789 0123456789 0123456789 0123456789 \
        0123456789 0123456789 0123456789 0123456789 0123456789</button>",
        Some([
            "button#l",
            "0123456789 0123456789 0123456789 0123456789 0123456789 \
        0123456789 0123456789 0123456789 0123456789 0",
            "",
            "",
        ]),
    ),
    (
        "around",
        "<div id=w data-footfall=w><i data-x=around>card</i> <i data-footfall-ignore>SECRET</i><textarea>SECRET\
        </textarea><select><option>SECRET</select><output>SECRET</output><p contenteditable>SECRET</p></div>",
        Some(["div#w", "card", "", "w"]),
    ),
    ("text", "<p data-x=text>nothing to click</p>", None),
    ("ignored", "<p data-footfall-ignore><button type=button data-x=ignored>SECRET</button></p>", None),
    ("field", "<div data-footfall=form><input data-x=field value=SECRET></div>", None),
    ("password", "<div data-footfall=form><input data-x=password type=password value=SECRET></div>", None),
    ("area", "<div data-footfall=form><textarea data-x=area>SECRET</textarea></div>", None),
    ("editor", "<div data-footfall=form><p contenteditable data-x=editor>SECRET</p></div>", None),
    ("box", "<label data-footfall=form><input type=checkbox data-x=box value=SECRET></label>", None),
    (
        "stopped",
        "<button type=button id=s onclick='event.stopPropagation()' data-x=stopped>Stop</button>",
        Some(["button#s", "Stop", "", ""]),
    ),
];

#[test]
fn a_click_tells_the_element_its_text_and_its_address_and_no_value() {
    let Some(shop) = Shop::open() else { return };
    let body: String = CASES.iter().map(|(_, html, _)| format!("<div>{html}</div>\n")).collect();
    shop.page("/", "", &body);
    shop.visit("/");
    for (name, ..) in CASES {
        shop.run(&format!("await page.click('[data-x={name}]')"));
    }
    let expected: Vec<_> = CASES.iter().filter_map(|(_, _, row)| *row).collect();
    shop.proxy.wait_for_acknowledged(1 + expected.len());
    for exchange in shop.proxy.exchanges() {
        let body = String::from_utf8(exchange.body).expect("text");
        assert!(!body.contains("SECRET"), "{body}");
    }
    let rows = shop.rows();
    let columns = ["element", "element_text", "element_href", "name"];
    assert_eq!(rows.len(), 1 + expected.len());
    for (row, expected) in rows[1..].iter().zip(expected) {
        assert_eq!(row.text("type"), "click");
        let mut found = columns.map(|column| row.text(column));
        if let Some(at) = found[2].find('#') {
            found[2] = &found[2][at..];
        }
        assert_eq!(found, expected);
    }
}

#[test]
fn clicks_are_not_told_where_the_page_says_so() {
    let Some(shop) = Shop::open() else { return };
    shop.page("/", "data-clicks=off", "<button id=b>b</button>");
    shop.visit("/");
    shop.run("await page.click('#b')");
    shop.track(0..1);
    shop.proxy.wait_for_acknowledged(2);
    let rows = shop.rows();
    let kinds: Vec<&str> = rows.iter().map(|row| row.text("type")).collect();
    assert_eq!(kinds, ["page_view", "track"]);
}
