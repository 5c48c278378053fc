"""What people see of buckets in a browser."""

from html import unescape


def test_the_pages_show_buckets_folders_and_objects(cloud, bucket):
    bucket.blob("in/<b>.txt").upload_from_string("x")
    bucket.blob("report.html").upload_from_string("<script>0</script>", content_type="text/html")
    with cloud.http() as http:
        overview = http.get("/emulator/").text
        assert f'href="/emulator/buckets/{bucket.name}"' in overview
        page = http.get(f"/emulator/buckets/{bucket.name}")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert ("report.html" in page.text, "2, 19 bytes" in page.text) == (True, True)
        folder = http.get(f"/emulator/buckets/{bucket.name}?prefix=in/").text
        assert ("<b>" in folder, "in/<b>.txt" in unescape(folder)) == (False, True)
        assert http.get(f"/{bucket.name}/in%2F%3Cb%3E.txt").text == "x"
        report = http.get(f"/{bucket.name}/report.html")
        assert report.headers["content-security-policy"].startswith("sandbox")
        assert http.get("/emulator/buckets/none").status_code == 404
