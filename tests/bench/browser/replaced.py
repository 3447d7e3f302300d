"""The replaced program's way through a report: one call into the browser for each element.

Says as JSON how long the way to the table took, and how long reading so many rows of it did. Its fixed sleeps of 5 s
and 3 s are waits for a state here, as only the reading is compared.
"""

import json
import sys
import time

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions as the
from selenium.webdriver.support.ui import WebDriverWait

order = json.load(sys.stdin)
began = time.monotonic()

options = webdriver.ChromeOptions()
options.binary_location = order["chromium"]
for arg in ["--headless=new", "--window-size=1920,1080", "--disable-dev-shm-usage", "--no-sandbox"]:
    options.add_argument(arg)
driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(order["chromedriver"]))


def clickable(by, what, seconds=20):
    return WebDriverWait(driver, seconds, 0.1).until(the.element_to_be_clickable((by, what)))


def headed(text):
    # fields that are not asked for yet stand off the screen, and count as clickable
    WebDriverWait(driver, 20, 0.1).until(the.text_to_be_present_in_element((By.ID, "loginHeader"), text))


def signed_in():
    return "/login" not in driver.current_url


def log_in():
    driver.get(order["url"])
    headed("Sign in")
    clickable(By.ID, "i0116").send_keys(order["username"])
    clickable(By.ID, "idSIButton9").click()
    headed("Enter password")
    clickable(By.ID, "i0118").send_keys(order["password"])
    clickable(By.ID, "idSIButton9").click()
    # "Stay signed in?" is asked at times only
    asked = the.text_to_be_present_in_element((By.ID, "loginHeader"), "Stay signed in?")
    WebDriverWait(driver, 20, 0.1).until(lambda _: signed_in() or asked(driver))
    if not signed_in():
        clickable(By.ID, "idSIButton9").click()
        WebDriverWait(driver, 20, 0.1).until(lambda _: signed_in())


def busy():
    return driver.find_element(By.CSS_SELECTOR, ".pivotTable").get_attribute("aria-busy") == "true"


def set_filter():
    driver.get(order["url"] + "/reports/network-obs?visual=table")
    WebDriverWait(driver, 30).until(the.frame_to_be_available_and_switch_to_it((By.CSS_SELECTOR, "iframe#report")))
    WebDriverWait(driver, 30, 0.1).until(the.presence_of_element_located((By.CSS_SELECTOR, ".pivotTable tbody tr")))
    clickable(By.CSS_SELECTOR, "[aria-label='Date Filter']").click()
    clickable(By.XPATH, "//span[text()='Custom Range']").click()
    for field in ["startDate", "endDate"]:
        found = clickable(By.ID, field)
        found.clear()
        found.send_keys(order["day"])
    clickable(By.XPATH, "//button[text()='Apply']").click()
    wanted = f"{order['rows_of_day']:,} rows"
    WebDriverWait(driver, 30, 0.1).until(
        the.text_to_be_present_in_element((By.CSS_SELECTOR, ".rowcount"), wanted)
    )
    WebDriverWait(driver, 30, 0.1).until(lambda _: not busy())


def read(most):
    """Rows of one page after the other, cell by cell; turning a page does not count."""
    rows, seconds = [], 0.0
    while len(rows) < most:
        started = time.monotonic()
        table = driver.find_element(By.CSS_SELECTOR, ".pivotTable")
        for row in table.find_elements(By.TAG_NAME, "tr")[1:]:
            cells = row.find_elements(By.TAG_NAME, "td")
            rows.append([cell.text for cell in cells[:4]])
            if len(rows) == most:
                break
        seconds += time.monotonic() - started
        if len(rows) < most:
            before = driver.find_element(By.CSS_SELECTOR, ".page").text
            clickable(By.CSS_SELECTOR, "button.next").click()
            WebDriverWait(driver, 20, 0.05).until(
                lambda _: driver.find_element(By.CSS_SELECTOR, ".page").text != before and not busy()
            )
    return rows, seconds


try:
    log_in()
    set_filter()
    there = time.monotonic() - began
    rows, seconds = read(order["rows"])
    distinct = len({tuple(row[:2]) for row in rows})
    print(json.dumps({"there": there, "reading": seconds, "rows": distinct}))
finally:
    driver.quit()
