//! The figures with their targets (design §8) as one table.

/// The target of a figure.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
    /// For information.
    None,
}

impl Target {
    fn met(self, figure: f64) -> Option<bool> {
        match self {
            Self::AtMost(most) => Some(figure <= most),
            Self::AtLeast(least) => Some(figure >= least),
            Self::None => None,
        }
    }

    fn words(self) -> String {
        match self {
            Self::AtMost(most) => format!("\u{2264} {}", number(most)),
            Self::AtLeast(least) => format!("\u{2265} {}", number(least)),
            Self::None => String::new(),
        }
    }
}

/// All figures so far.
#[derive(Default)]
pub(crate) struct Table {
    lines: Vec<[String; 5]>,
    missed: usize,
    /// Irregularities, independent of the figures.
    notes: Vec<String>,
}

impl Table {
    /// Adds a figure: the median of several runs.
    pub(crate) fn add(&mut self, name: &str, unit: &str, mut runs: Vec<f64>, target: Target) {
        if runs.is_empty() {
            return self.gap(name, target);
        }
        runs.sort_by(f64::total_cmp);
        let figure = at(&runs, 0.5);
        let met = target.met(figure);
        self.missed += usize::from(met == Some(false));
        let verdict = match met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "for information",
        };
        let spread = match runs.as_slice() {
            [_] => String::new(),
            all => format!("{} \u{2013} {}", number(all[0]), number(all[all.len() - 1])),
        };
        let figure = format!("{} {unit}", number(figure)).trim_end().to_owned();
        println!("  {name}: {figure} ({verdict})");
        self.lines.push([name.to_owned(), figure, spread, target.words(), verdict.to_owned()]);
    }

    /// Adds a figure that could not be measured.
    pub(crate) fn missing(&mut self, name: &str, target: Target, why: &str) {
        self.gap(name, target);
        self.note(format!("{name}: {why}"));
    }

    /// Adds a missing figure whose reason is noted elsewhere.
    pub(crate) fn gap(&mut self, name: &str, target: Target) {
        self.missed += usize::from(!matches!(target, Target::None));
        println!("  {name}: not measured");
        self.lines.push([name, "\u{2013}", "", &target.words(), "NOT MEASURED"].map(str::to_owned));
    }

    /// Adds a note, once.
    pub(crate) fn note(&mut self, words: String) {
        if !self.notes.contains(&words) {
            self.notes.push(words);
        }
    }

    pub(crate) fn print(&self) {
        let head = ["measure", "median", "min \u{2013} max", "target", "verdict"].map(str::to_owned);
        let lines: Vec<&[String; 5]> = std::iter::once(&head).chain(&self.lines).collect();
        let widths: Vec<usize> =
            (0..5).map(|at| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0)).collect();
        println!();
        for line in lines {
            let [name, figure, spread, target, verdict] = line;
            println!(
                "{name:0$}  {figure:>1$}  {spread:>2$}  {target:>3$}  {verdict}",
                widths[0], widths[1], widths[2], widths[3]
            );
        }
        if !self.notes.is_empty() {
            println!("\nNotes:");
            self.notes.iter().for_each(|note| println!("- {note}"));
        }
        let verdict = match self.missed {
            0 => "all targets met".to_owned(),
            missed => format!("{missed} targets not met or not measured"),
        };
        println!("\n{verdict}");
    }
}

/// The value at this share of a sorted series: 0.5 is the median.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a length is a place in it"
)]
pub(crate) fn at(sorted: &[f64], share: f64) -> f64 {
    let place = (sorted.len() as f64 * share) as usize;
    sorted.get(place.min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

/// [`at`] for an unsorted series.
pub(crate) fn share_of(mut row: Vec<f64>, share: f64) -> f64 {
    row.sort_by(f64::total_cmp);
    at(&row, share)
}

/// About four digits.
fn number(figure: f64) -> String {
    match figure.abs() {
        large if large >= 1000.0 => format!("{figure:.0}"),
        middle if middle >= 100.0 => format!("{figure:.1}"),
        small if small >= 10.0 => format!("{figure:.2}"),
        _ => format!("{figure:.3}"),
    }
}
