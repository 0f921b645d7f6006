//! Settings of the way from OTLP to Prometheus: section `otlp` of the configuration.

/// What becomes of names (`translation_strategy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TranslationStrategy {
    /// `http.server.duration`, unit `s`: `http_server_duration_seconds`.
    #[default]
    UnderscoreEscapingWithSuffixes,
    /// `http_server_duration`.
    UnderscoreEscapingWithoutSuffixes,
    /// `http.server.duration_seconds`.
    NoUtf8EscapingWithSuffixes,
    /// `http.server.duration`.
    NoTranslation,
}

impl TranslationStrategy {
    /// The strategy of this name in settings.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "UnderscoreEscapingWithSuffixes" => Some(Self::UnderscoreEscapingWithSuffixes),
            "UnderscoreEscapingWithoutSuffixes" => Some(Self::UnderscoreEscapingWithoutSuffixes),
            "NoUTF8EscapingWithSuffixes" => Some(Self::NoUtf8EscapingWithSuffixes),
            "NoTranslation" => Some(Self::NoTranslation),
            _ => None,
        }
    }

    /// Whether unit and type become suffixes.
    pub(super) fn has_suffixes(self) -> bool {
        matches!(self, Self::UnderscoreEscapingWithSuffixes | Self::NoUtf8EscapingWithSuffixes)
    }

    /// Whether characters beyond letters, digits and `_` become `_`.
    pub(super) fn escapes(self) -> bool {
        matches!(self, Self::UnderscoreEscapingWithSuffixes | Self::UnderscoreEscapingWithoutSuffixes)
    }
}

/// How names, resources and scopes become metric names and labels. The default is Prometheus's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricOptions {
    pub strategy: TranslationStrategy,
    /// Resource attributes that become labels of every series of the resource, beside `job` and `instance`.
    pub promote_resource_attributes: Vec<String>,
    /// All of them do, but for `ignore_resource_attributes`.
    pub promote_all_resource_attributes: bool,
    pub ignore_resource_attributes: Vec<String>,
    /// `service.name`, `service.namespace` and `service.instance.id` stay on `target_info` too.
    pub keep_identifying_resource_attributes: bool,
    /// Histograms with explicit bounds become native ones with custom bounds.
    pub convert_histograms_to_nhcb: bool,
    /// Name, version, schema URL and attributes of the scope become labels `otel_scope_…`.
    pub promote_scope_metadata: bool,
    /// A label that would start with one `_` gets `key` before it.
    pub label_name_underscore_sanitization: bool,
    /// `a..b` becomes `a__b`, not `a_b`.
    pub label_name_preserve_multiple_underscores: bool,
}

impl Default for MetricOptions {
    fn default() -> Self {
        Self {
            strategy: TranslationStrategy::default(),
            promote_resource_attributes: Vec::new(),
            promote_all_resource_attributes: false,
            ignore_resource_attributes: Vec::new(),
            keep_identifying_resource_attributes: false,
            convert_histograms_to_nhcb: false,
            promote_scope_metadata: false,
            label_name_underscore_sanitization: true,
            label_name_preserve_multiple_underscores: true,
        }
    }
}
