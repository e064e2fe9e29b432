from app.web.view.metrics import Metric, format_plain, format_prometheus

METRICS = (
    Metric("answers_total", "Answers by status", {"2xx": 12, "5xx": 0}, label="status"),
    Metric("uptime_seconds", "Seconds since the start", 2.5),
)


def test_people_read_one_number_a_line():
    assert (
        format_plain(METRICS)
        == "Answers by status, 2xx: 12\nAnswers by status, 5xx: 0\nSeconds since the start: 2.500\n"
    )


def test_prometheus_reads_what_each_number_is():
    assert format_prometheus(METRICS) == (
        "# HELP singular_lens_answers_total Answers by status\n"
        "# TYPE singular_lens_answers_total counter\n"
        'singular_lens_answers_total{status="2xx"} 12\n'
        'singular_lens_answers_total{status="5xx"} 0\n'
        "# HELP singular_lens_uptime_seconds Seconds since the start\n"
        "# TYPE singular_lens_uptime_seconds gauge\n"
        "singular_lens_uptime_seconds 2.500\n"
    )
